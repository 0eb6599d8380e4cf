#include "report/pages/method_words.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/read/format.h"
#include "report/statistics/block_bootstrap.h"
#include "report/statistics/example_shares.h"
#include "report/statistics/paired_seeds.h"
#include "report/statistics/sign_flips.h"

namespace attnlab::report {
namespace {

nlohmann::json at(const Results& results, const char* key) {
  return results.environment.is_object() && results.environment.contains(key) ? results.environment.at(key)
                                                                              : nlohmann::json();
}

std::string rounds_words(const Results& results) {
  const StudyLayout& layout = results.layout;
  std::string text;
  if (layout.until > 0) {
    text += fmt::format(
        "Rounds: at least {}, at most {}, until half of every interval of prefill and decode speed is at "
        "most {:.3g} % of its figure. ",
        layout.least_rounds, layout.most_rounds, layout.until * 100);
    if (!layout.stopped.empty())
      text += "On what they ended: " + one_line(layout.stopped) + (layout.stopped.ends_with('.') ? " " : ". ");
  } else if (layout.rounds > 0) {
    text += fmt::format("Planned rounds: {}. ", layout.rounds);
  }
  if (layout.seeds.size() > 1) text += fmt::format("Seeds: {}. ", fmt::join(layout.seeds, ", "));
  text +=
      "Every round runs every arm once, in shuffled order, in a process that is started for that arm and round. What "
      "is the same in every round by construction (bytes, perplexity, right answers) is measured once.";
  if (std::ranges::any_of(results.trials, [](const TrialResult& trial) { return trial.details.contains("slices"); }))
    text +=
        " While their speed was measured, the arms of a round took turns, slice by slice; of slices of the same work the "
        "fastest and the slowest fifth are left out.";
  return text;
}

std::string warmup_words(const Results& results) {
  const nlohmann::json warmup = at(results, "warmup");
  if (!warmup.is_object()) return {};
  const int rounds = warmup.value("rounds", 0);
  if (rounds == 0) return "There was no warm-up round.";
  std::string text = rounds == 1 ? "1 round was run before to warm up and discarded"
                                 : fmt::format("{} rounds were run before to warm up and discarded", rounds);
  if (rounds == 1 && warmup.value("most", rounds) == 1) return text + ".";
  const double difference = warmup.value("difference", 0.0) * 100;
  if (warmup.value("agreed", false))
    return text + fmt::format("; the last two agreed within the noise (difference {:.2g} %).", difference);
  return text + fmt::format("; they did not agree within the noise (difference {:.2g} %), and at most {} are run.",
                            difference, warmup.value("most", rounds));
}

// Attempts that others disturbed, and the load that they were disturbed by.
std::string disturbance_words(const Results& results) {
  const nlohmann::json rounds = at(results, "rounds");
  if (!rounds.is_array() || rounds.empty()) return {};
  std::set<int> disturbed;
  std::set<int> repeated;
  double most_other = 0;
  double most_steal = 0;
  for (const nlohmann::json& round : rounds) {
    if (!round.is_object()) continue;
    most_other = std::max(most_other, round.value("other_cpu_share", 0.0));
    most_steal = std::max(most_steal, round.value("steal_share", 0.0));
    if (round.value("disturbed", false)) disturbed.insert(round.value("round", 0));
    if (round.value("repeated", false)) repeated.insert(round.value("round", 0));
  }
  const std::string load = fmt::format(
      "Other processes took at most {:.0f} % of the processor in a round, the host at "
      "most {:.0f} %.",
      most_other * 100, most_steal * 100);
  if (disturbed.empty()) return load + " No round was disturbed.";
  return load + fmt::format(" Disturbed rounds: {}; measured twice, of which the quieter attempt counts: {}.",
                            fmt::join(disturbed, ", "),
                            repeated.empty() ? "none" : fmt::format("{}", fmt::join(repeated, ", ")));
}

std::string interval_words() {
  return fmt::format(
      "A figure is the median over the rounds. [a, b] holds the true median with 95 %: the percentile interval of a "
      "smoothed bootstrap, its level calibrated for few values (Hettmansperger and Sheather 1986); (a to b) is the "
      "range of fewer than {} rounds, which covers it with less. A ratio is the median of the paired ratios: to the "
      "baseline within the same round and seed. Where the quotient of the two medians lies outside the ratio's "
      "interval "
      "the row is called unstable. The interval of a ratio holds for all arms of a case and metric at once with "
      "95 %: max-T over sign flips of the paired log ratios, studentised, so that more arms do not make more false "
      "marks; "
      "single trials far from their round and arm are pulled in to 2.7 robust standard deviations first. A ratio whose "
      "interval excludes 1 is marked. With fewer than {} rounds the interval of a ratio of speeds is that of the "
      "slices in which the "
      "arms of a round took turns, by Student's t on the trimmed paired logarithms, with Bonferroni over the arms: it "
      "is "
      "labelled \"of slices\", and of what differs from process to process it knows what these few rounds show. Where "
      "there are no such slices, nothing can be marked then.",
      kLeastForInterval, kLeastRoundsForMarks);
}

std::string quality_words() {
  return fmt::format(
      "Intervals of perplexity, NLL, KL and the same top token are from a bootstrap over the windows of the text, "
      "drawn "
      "alike for all arms: BCa for a figure, studentised max-T over all arms for the ratios. Fewer than {} windows get "
      "no interval. Recall and right answers are shares over examples: Wilson's interval with the examples' effective "
      "number of "
      "queries, and ratios paired by example, from {} examples on.",
      kLeastWindows, kLeastExamples);
}

std::string training_words(const Results& results) {
  if (!results.layout.trains()) return {};
  return fmt::format(
      "Trainings: every arm is trained once with each seed; arms that differ in their caches only share a training. "
      "Seeds are the pairs: the same start where shapes agree, the same batches. Differences are judged by Student's t "
      "on the paired log ratios (on differences where a figure is 0 or below), with Bonferroni over the arms, from {0} "
      "seeds on; fewer are too few for a verdict. Perplexity, recall and other quality of trained arms is marked only "
      "where the seeds and the text both allow it: its interval holds both. Points of learning curves are means of {1} "
      "{2}.",
      kLeastSeedsForMarks, results.trainings.steps_a_point,
      results.trainings.steps_a_point == 1 ? "step" : "steps each");
}

}  // namespace

std::vector<std::string> method(const Results& results) {
  std::vector<std::string> paragraphs = {rounds_words(results),
                                         warmup_words(results),
                                         disturbance_words(results),
                                         interval_words(),
                                         quality_words(),
                                         training_words(results),
                                         "All samples are in samples.csv, all medians in summary.csv, all ratios in "
                                         "comparisons.csv, every arm fully resolved in plan.yaml."};
  std::erase(paragraphs, std::string());
  return paragraphs;
}

}  // namespace attnlab::report

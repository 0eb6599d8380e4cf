#include "report/summary/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/statistics/block_bootstrap.h"
#include "report/statistics/example_shares.h"
#include "report/statistics/paired_ratios.h"
#include "report/statistics/paired_seeds.h"
#include "report/statistics/slice_intervals.h"
#include "report/summary/discrimination.h"
#include "report/summary/text_windows.h"
#include "report/summary/trial_slices.h"
#include "report/summary/verdict_table.h"

namespace attnlab::report {
namespace {

constexpr double kSeenInThreeDigits = 0.005;

bool is_same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

// All good trials of one metric of one arm in one case.
struct Series {
  std::string unit, better;
  bool is_deterministic = true;
  std::map<PairKey, std::vector<double>> samples;
  std::map<std::int64_t, WindowSums> windows;  // by seed
  RoundSlices slices;

  // The trial is the unit: what was sampled more than once in it counts with its median.
  [[nodiscard]] PairedValues pairs() const {
    PairedValues pairs;
    for (const auto& [key, values] : samples) pairs[key] = median(values);
    return pairs;
  }

  // The same in every round of a seed.
  [[nodiscard]] bool is_steady() const {
    const PairedValues all = pairs();
    return std::ranges::all_of(all, [&](const auto& entry) {
      return is_same(entry.second, all.lower_bound({entry.first.seed, std::numeric_limits<int>::min()})->second);
    });
  }

  [[nodiscard]] bool counts_once() const { return is_deterministic && is_steady(); }

  // One value a seed: the median of its rounds.
  [[nodiscard]] PairedValues of_seeds() const {
    std::map<std::int64_t, std::vector<double>> rounds;
    for (const auto& [key, value] : pairs()) rounds[key.seed].push_back(value);
    PairedValues seeds;
    for (const auto& [seed, values] : rounds) seeds[{seed, 0}] = median(values);
    return seeds;
  }

  // What counts once, once for each seed, whichever round it is from.
  [[nodiscard]] PairedValues once() const {
    PairedValues seeds;
    for (const auto& [key, value] : pairs()) seeds.try_emplace({key.seed, 0}, value);
    return seeds;
  }

  // Every seed's windows; nothing where one has none, or not as many as the others.
  [[nodiscard]] std::vector<WindowSums> text() const {
    std::vector<WindowSums> seeds;
    for (const auto& [seed, figure] : windows) seeds.push_back(figure);
    const bool is_whole = seeds.size() == once().size() && std::ranges::all_of(seeds, [&](const WindowSums& figure) {
                            return figure.sums.size() == seeds.front().sums.size();
                          });
    return is_whole ? seeds : std::vector<WindowSums>();
  }
};

using Trials = std::vector<const TrialResult*>;

struct Cell {
  std::vector<std::string> metrics;  // in the order of the tables
  std::map<std::string, Series> series;
  std::string no_verdict;  // of the first that has none
  bool keeps_every_row = false, evicted_nothing = false;
  int failed = 0;
  std::string failure;  // of the first that failed
};

Cell collect(const Trials& trials) {
  Cell cell;
  for (const TrialResult* trial : trials) {
    if (!trial->is_ok()) {
      if (cell.failed++ == 0) cell.failure = status_text(*trial);
      continue;
    }
    if (const std::vector<std::string> reasons = detail_strings(*trial, "no_verdict"); cell.no_verdict.empty())
      cell.no_verdict = reasons.empty() ? "" : one_line(reasons.front());
    cell.keeps_every_row |= trial->details.is_object() && trial->details.value("keeps_every_row", false);
    cell.evicted_nothing |= trial->details.is_object() && trial->details.value("evicted_nothing", false);
    for (const Sample& sample : trial->samples) {
      Series& series = cell.series[sample.metric];
      if (series.samples.empty()) cell.metrics.push_back(sample.metric);
      series.unit = sample.unit;
      series.better = sample.better;
      series.is_deterministic &= sample.is_deterministic;
      series.samples[{trial->seed, trial->round}].push_back(sample.value);
      if (std::optional<Slices> slices = slices_of(*trial, sample.metric))
        series.slices[{trial->seed, trial->round}] = std::move(*slices);
      if (series.windows.contains(trial->seed)) continue;
      if (std::optional<WindowSums> figure = window_sums(*trial, sample.metric))
        series.windows[trial->seed] = std::move(*figure);
    }
  }
  std::ranges::stable_sort(cell.metrics, {}, [](const std::string& metric) { return metric_rank(metric); });
  return cell;
}

bool has_same_windows(const std::vector<WindowSums>& mine, const std::vector<WindowSums>& theirs) {
  return !theirs.empty() && mine.size() == theirs.size() &&
         std::ranges::equal(mine, theirs, {}, &WindowSums::tokens, &WindowSums::tokens);
}

// Of all seeds, one after the other.
WindowSums joined(const std::vector<WindowSums>& seeds) {
  WindowSums all;
  for (const WindowSums& seed : seeds) {
    all.sums.insert(all.sums.end(), seed.sums.begin(), seed.sums.end());
    all.tokens.insert(all.tokens.end(), seed.tokens.begin(), seed.tokens.end());
  }
  return all;
}

class Summariser {
 public:
  Summariser(const StudyLayout& layout, const std::vector<TrialResult>& trials) : layout_(layout) {
    std::map<Key, Trials> groups;
    for (const TrialResult& trial : trials) groups[{trial.arm, trial.workload, trial.case_name}].push_back(&trial);
    for (const auto& [key, group] : groups) cells_[key] = collect(group);
  }

  Summary run() {
    for (const ArmLayout& arm : layout_.arms) {
      if (!arm.refused.empty()) {
        add_status(arm, {}, "refused: " + one_line(arm.refused), 0);
        continue;
      }
      add_cell(arm, {});  // what went wrong before any case
      for (const CaseLayout& entry : layout_.cases) add_cell(arm, entry);
    }
    mark_undiscriminating(layout_, summary_.rows);
    for (const CaseLayout& entry : layout_.cases) compare(entry);
    return std::move(summary_);
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // arm, workload, case

  // One metric of one case: the rows of all arms that have it, what they were made from, and which arms are compared.
  struct Compared {
    std::vector<std::size_t> rows;  // into the summary
    std::vector<const Series*> series;
    std::vector<ArmPair> pairs;
  };

  [[nodiscard]] SummaryRow row_of(const ArmLayout& arm, const CaseLayout& entry) const {
    SummaryRow row;
    row.arm = arm.name;
    row.is_baseline = arm.name == layout_.baseline;
    row.attention = arm.attention;
    row.position = arm.position;
    row.cache = arm.cache;
    row.workload = entry.workload;
    row.case_name = entry.case_name;
    return row;
  }

  void add_status(const ArmLayout& arm, const CaseLayout& entry, const std::string& status, int rounds) {
    SummaryRow row = row_of(arm, entry);
    row.estimate.n = rounds;
    row.status = status;
    summary_.rows.push_back(std::move(row));
  }

  void add_cell(const ArmLayout& arm, const CaseLayout& entry) {
    const auto found = cells_.find({arm.name, entry.workload, entry.case_name});
    if (found == cells_.end()) return;
    const Cell& cell = found->second;
    for (const std::string& metric : cell.metrics) {
      SummaryRow row = row_of(arm, entry);
      row.metric = metric;
      row.no_verdict = cell.no_verdict;
      row.keeps_every_row = cell.keeps_every_row;
      row.evicted_nothing = cell.evicted_nothing;
      add_figures(row, cell.series.at(metric));
      summary_.rows.push_back(std::move(row));
    }
    if (cell.failed > 0) add_status(arm, entry, cell.failure, cell.failure.starts_with("refused") ? 0 : cell.failed);
  }

  void add_figures(SummaryRow& row, const Series& series) {
    row.unit = series.unit;
    row.better = series.better;
    if (series.is_deterministic && !series.is_steady())
      warn(row, "was said to be the same in every round, but differs: treat it with suspicion");
    const PairedValues pairs = series.pairs();
    if (is_share_of_roof(row.metric) && std::ranges::any_of(pairs, [](const auto& entry) { return entry.second > 1; }))
      warn(row,
           "is above 100 % in a round: the machine was faster in the trial than in the probe of its roof beside it");

    row.over_seeds = spread_over_seeds(pairs);
    if (row.workload == kTrain) {
      row.estimate = over_trainings(series);
      return;
    }
    if (!series.counts_once()) {
      row.estimate = estimate_over_seeds(pairs);
      return;
    }
    const PairedValues once = series.once();
    row.estimate = {static_cast<int>(once.size()), median_over_seeds(once), std::nullopt};
    row.estimate.interval = interval_of_text(row.metric, series.text());
    if (!row.estimate.interval || !depends_on_training(row.metric)) return;
    if (const std::optional<Interval> seeds = over_trainings(series).interval)
      row.estimate.interval = hull_of(*row.estimate.interval, *seeds);
  }

  // Seeds are all that a training varies with.
  static Estimate over_trainings(const Series& series) {
    std::vector<double> values;
    for (const auto& [key, value] : series.of_seeds()) values.push_back(value);
    return {static_cast<int>(values.size()), median(values), median_interval(values)};
  }

  // What is measured on weights that the study trained.
  [[nodiscard]] bool depends_on_training(const std::string& metric) const {
    return layout_.trains() && is_quality(metric);
  }

  std::optional<Interval> interval_of_text(const std::string& metric, const std::vector<WindowSums>& text) {
    if (is_share_of_answers(metric)) return text.empty() ? std::nullopt : share_interval(joined(text));
    if (text.empty() || text.front().sums.size() < kLeastWindows) return std::nullopt;
    Interval interval = bootstrap(text.front().sums.size()).interval(text);
    if (metric == kPerplexity) interval = {std::exp(interval.low), std::exp(interval.high), interval.coverage};
    return interval;
  }

  // Ratios of all arms to the baseline, and to each further arm that the study compares with, metric by metric.
  void compare(const CaseLayout& entry) {
    std::vector<std::string> references = layout_.compare_with;
    references.insert(references.begin(), layout_.baseline);
    std::vector<std::string> metrics;
    for (const std::string& reference : references)
      if (const auto cell = cells_.find({reference, entry.workload, entry.case_name}); cell != cells_.end())
        for (const std::string& metric : cell->second.metrics)
          if (metric != kTokensScored && metric != kLearningRate && std::ranges::find(metrics, metric) == metrics.end())
            metrics.push_back(metric);  // how many tokens were looked at, and a rate that was set, are no outcome
    for (const std::string& metric : metrics) {
      Compared all;
      for (std::size_t i = 0; i < summary_.rows.size(); ++i) {
        const SummaryRow& row = summary_.rows[i];
        if (row.workload != entry.workload || row.case_name != entry.case_name || row.metric != metric) continue;
        if (!row.no_verdict.empty()) continue;  // neither compared nor a reference
        all.rows.push_back(i);
        all.series.push_back(&cells_.at({row.arm, entry.workload, entry.case_name}).series.at(metric));
      }
      Compared once = all, varying = all;
      for (const std::string& reference : references) {
        // These are distances from one arm's predictions: no report can make them distances from another's.
        if (is_measured_against_an_arm(metric) && reference != layout_.measured_against) continue;
        const auto theirs = std::ranges::find(all.rows, reference, [&](std::size_t i) { return summary_.rows[i].arm; });
        if (theirs == all.rows.end()) continue;
        const auto place = static_cast<std::size_t>(theirs - all.rows.begin());
        for (std::size_t arm = 0; arm < all.rows.size(); ++arm) {
          const bool counts_once = all.series[arm]->counts_once() && all.series[place]->counts_once();
          if (arm != place)
            (counts_once ? once : varying).pairs.push_back({arm, place});
          else if (reference == layout_.baseline)
            compare_with_itself(summary_.rows[*theirs], *all.series[place]);
        }
      }
      if (entry.workload == kTrain) {
        varying.pairs.insert(varying.pairs.end(), once.pairs.begin(), once.pairs.end());
        compare_trainings(varying);
        continue;
      }
      compare_rounds(varying);
      compare_texts(once);
    }
    std::ranges::stable_sort(summary_.further, {}, [&](const FurtherRatio& further) {
      return std::pair(std::ranges::find(references, further.reference) - references.begin(), further.row);
    });
  }

  static void compare_with_itself(SummaryRow& row, const Series& series) {
    if (!series.counts_once()) {
      row.ratio = to_itself(row.estimate.n);
      return;
    }
    const PairedValues once = series.once();
    row.ratio = paired_ratios(once, std::span(&once, 1)).front();
    if (row.ratio) row.ratio->interval.reset();
  }

  // Seeds, which are the pairs of trainings: the same start, the same batches.
  void compare_trainings(const Compared& compared) {
    std::vector<PairedValues> values;
    for (const Series* series : compared.series) values.push_back(series->of_seeds());
    // Arms that share a training are one comparison, and with each other none.
    std::set<std::pair<std::string, std::string>> trainings;
    for (const ArmPair& pair : compared.pairs) {
      const std::string of_arm = trained_with(compared, pair.arm),
                        of_reference = trained_with(compared, pair.reference);
      if (of_arm != of_reference) trainings.emplace(of_arm, of_reference);
    }
    const int comparisons = std::max(1, static_cast<int>(trainings.size()));
    int most = 0, count = 0;
    for (const ArmPair& pair : compared.pairs) {
      const std::optional<SeedsEstimate> found = paired_seeds(values[pair.arm], values[pair.reference], comparisons);
      if (!found) continue;
      most = std::max(most, found->estimate.n);
      ++count;
      if (found->is_ratio)
        add_ratio(compared, pair, found->estimate);
      else
        add_difference(compared, pair, found->estimate);
    }
    add_family({.arms = count, .rounds = most, .rounds_needed = kLeastSeedsForMarks, .is_of_seeds = true}, compared);
  }

  // The first of the arms that share the training of this one; the arm itself where none is planned.
  [[nodiscard]] std::string trained_with(const Compared& compared, std::size_t index) const {
    const std::string& arm = summary_.rows[compared.rows[index]].arm;
    for (const TrainingLayout& training : layout_.trainings)
      if (std::ranges::find(training.arms, arm) != training.arms.end()) return training.arms.front();
    return arm;
  }

  // Of further references there are ratios alone.
  void add_difference(const Compared& compared, const ArmPair& pair, const Estimate& difference) {
    SummaryRow& mine = summary_.rows[compared.rows[pair.arm]];
    if (!summary_.rows[compared.rows[pair.reference]].is_baseline) return;
    const std::optional<Interval>& interval = difference.interval;
    mine.difference = difference;
    mine.is_marked = interval && interval->is_confident() && (interval->low > 0 || interval->high < 0);
  }

  // What trained weights give on a text: the interval holds that of the seeds too. True where seeds are too few.
  bool widen_by_seeds(const Compared& compared, std::vector<std::optional<Estimate>>& ratios) {
    if (compared.pairs.empty() || !depends_on_training(summary_.rows[compared.rows.front()].metric)) return false;
    int most = 0, count = 0;
    for (std::size_t i = 0; i < ratios.size(); ++i) {
      if (!ratios[i] || !ratios[i]->interval) continue;
      most = std::max(most, ratios[i]->n);
      ++count;
      const ArmPair& pair = compared.pairs[i];
      const std::optional<SeedsEstimate> seeds = paired_seeds(
          compared.series[pair.arm]->once(), compared.series[pair.reference]->once(), static_cast<int>(ratios.size()));
      const bool is_known = seeds && seeds->estimate.interval;
      if (is_known && seeds->is_ratio)
        ratios[i]->interval = hull_of(*ratios[i]->interval, *seeds->estimate.interval);
      else if (!is_known || (seeds->estimate.interval->low <= 0 && seeds->estimate.interval->high >= 0))
        ratios[i]->interval->coverage = 0;  // of one seed, nobody knows what another would have given
    }
    if (count == 0 || most >= kLeastSeedsForMarks) return false;
    add_family({.arms = count, .rounds = most, .rounds_needed = kLeastSeedsForMarks, .is_of_seeds = true}, compared);
    return true;
  }

  void compare_rounds(const Compared& compared) {
    if (compared.pairs.empty()) return;
    std::vector<PairedValues> values;
    for (const Series* series : compared.series) values.push_back(series->pairs());
    std::vector<std::optional<Estimate>> ratios = paired_ratios(values, compared.pairs);
    const auto count =
        static_cast<int>(std::ranges::count_if(ratios, [](const auto& ratio) { return ratio.has_value(); }));
    int most = 0, of_slices = 0;
    for (std::size_t i = 0; i < compared.pairs.size(); ++i) {
      if (!ratios[i]) continue;
      const ArmPair& pair = compared.pairs[i];
      if (ratios[i]->n < kLeastRoundsForMarks)
        if (const std::optional<Interval> interval = slice_interval(
                compared.series[pair.arm]->slices, compared.series[pair.reference]->slices, ratios[i]->median, count)) {
          ratios[i]->interval = interval;
          ++of_slices;
        }
      most = std::max(most, ratios[i]->n);
      add_ratio(compared, pair, *ratios[i]);
    }
    add_family(
        {.arms = count, .rounds = most, .rounds_needed = count > 0 && of_slices == count ? 1 : kLeastRoundsForMarks},
        compared);
  }

  void compare_texts(const Compared& compared) {
    std::vector<std::vector<WindowSums>> texts;
    for (const Series* series : compared.series) texts.push_back(series->text());
    std::vector<std::optional<Estimate>> ratios;
    std::vector<ArmPair> of_text;            // pairs that have the same windows
    std::vector<std::size_t> place_of_text;  // of these, among all pairs
    for (const ArmPair& pair : compared.pairs) {
      const PairedValues mine = compared.series[pair.arm]->once();
      ratios.push_back(paired_ratios(compared.series[pair.reference]->once(), std::span(&mine, 1)).front());
      if (!ratios.back()) continue;
      ratios.back()->interval.reset();  // seeds are no rounds: their spread is in over_seeds
      const std::size_t first = of_text.empty() ? pair.reference : of_text.front().reference;
      if (!has_same_windows(texts[pair.arm], texts[pair.reference]) || !has_same_windows(texts[pair.arm], texts[first]))
        continue;
      place_of_text.push_back(ratios.size() - 1);
      of_text.push_back(pair);
    }
    if (!of_text.empty() && is_share_of_answers(summary_.rows[compared.rows.front()].metric)) {
      compare_examples(compared, texts, of_text, place_of_text, ratios);
      return;
    }
    const std::size_t windows = of_text.empty() ? 0 : texts[of_text.front().arm].front().sums.size();
    if (windows >= kLeastWindows) {
      const bool is_perplexity = summary_.rows[compared.rows.front()].metric == kPerplexity;
      const std::vector<std::optional<Interval>> intervals =
          bootstrap(windows).ratio_intervals(texts, of_text, is_perplexity ? RatioOf::perplexities : RatioOf::means);
      for (std::size_t i = 0; i < of_text.size(); ++i) ratios[place_of_text[i]]->interval = intervals[i];
    }
    const bool has_few_seeds = widen_by_seeds(compared, ratios);
    for (std::size_t i = 0; i < ratios.size(); ++i)
      if (ratios[i]) add_ratio(compared, compared.pairs[i], *ratios[i]);
    if (!has_few_seeds)
      add_family({.arms = static_cast<int>(of_text.size()),
                  .rounds = static_cast<int>(windows),
                  .rounds_needed = kLeastWindows,
                  .is_of_text = true},
                 compared);
  }

  // Those of recall, which are independent of each other: no blocks of them follow on each other as windows do.
  void compare_examples(const Compared& compared, const std::vector<std::vector<WindowSums>>& examples,
                        const std::vector<ArmPair>& of_examples, const std::vector<std::size_t>& places,
                        std::vector<std::optional<Estimate>>& ratios) {
    const int count = static_cast<int>(of_examples.size());
    for (std::size_t i = 0; i < of_examples.size(); ++i)
      ratios[places[i]]->interval =
          share_ratio_interval(joined(examples[of_examples[i].reference]), joined(examples[of_examples[i].arm]), count);
    const bool has_few_seeds = widen_by_seeds(compared, ratios);
    for (std::size_t i = 0; i < ratios.size(); ++i)
      if (ratios[i]) add_ratio(compared, compared.pairs[i], *ratios[i]);
    const int rounds = static_cast<int>(joined(examples[of_examples.front().arm]).sums.size());
    if (!has_few_seeds)
      add_family({.arms = count, .rounds = rounds, .rounds_needed = kLeastExamples, .is_of_examples = true}, compared);
  }

  void add_ratio(const Compared& compared, const ArmPair& pair, const Estimate& ratio) {
    SummaryRow& mine = summary_.rows[compared.rows[pair.arm]];
    const SummaryRow& theirs = summary_.rows[compared.rows[pair.reference]];
    const std::optional<Interval>& interval = ratio.interval;
    const bool is_marked = interval && interval->is_confident() && (interval->low > 1 || interval->high < 1);
    const double quotient = mine.estimate.median / theirs.estimate.median;
    const bool is_unstable = contradicts(ratio, quotient);
    if (!theirs.is_baseline) {
      summary_.further.push_back({theirs.arm, compared.rows[pair.arm], ratio, is_marked, is_unstable});
      return;
    }
    mine.ratio = ratio;
    mine.is_marked = is_marked;
    if (std::isfinite(quotient)) mine.quotient = quotient;
    mine.is_unstable = is_unstable;
  }

  // By more than the interval allows, and by enough to show in figures of three digits.
  static bool contradicts(const Estimate& ratio, double quotient) {
    if (!ratio.interval || !std::isfinite(quotient)) return false;
    const bool is_outside = quotient < ratio.interval->low || quotient > ratio.interval->high;
    return is_outside && std::abs(quotient - ratio.median) > kSeenInThreeDigits * std::abs(ratio.median);
  }

  void add_family(Family family, const Compared& compared) {
    if (family.arms == 0) return;
    const SummaryRow& row = summary_.rows[compared.rows.front()];
    family.workload = row.workload;
    family.case_name = row.case_name;
    family.metric = row.metric;
    summary_.families.push_back(std::move(family));
  }

  static Estimate to_itself(int n) { return {n, 1, n > 1 ? std::optional(Interval{1, 1, 1}) : std::nullopt}; }

  const BlockBootstrap& bootstrap(std::size_t windows) {
    return bootstraps_.try_emplace(windows, windows).first->second;
  }

  void warn(const SummaryRow& row, const std::string& what) {
    summary_.warnings.push_back(
        fmt::format("{}, {}: {} {}", row.arm, case_title({row.workload, row.case_name}), row.metric, what));
  }

  const StudyLayout& layout_;
  std::map<Key, Cell> cells_;
  std::map<std::size_t, BlockBootstrap> bootstraps_;  // by windows
  Summary summary_;
};

}  // namespace

std::string status_text(const TrialResult& trial) {
  return one_line(trial.reason.empty() ? trial.status : trial.status + ": " + trial.reason);
}

Summary summarise(const StudyLayout& layout, const std::vector<TrialResult>& trials) {
  return Summariser(layout, trials).run();
}

}  // namespace attnlab::report

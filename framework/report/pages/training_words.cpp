#include "report/pages/training_words.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "report/read/format.h"
#include "report/read/metrics.h"
#include "report/statistics/paired_seeds.h"

namespace attnlab::report {
namespace {

constexpr std::size_t kMostArmsNamed = 3;

std::string arms_words(const std::vector<std::string>& arms) {
  const std::size_t named = std::min(arms.size(), kMostArmsNamed);
  std::string words =
      one_line(fmt::format("{}", fmt::join(arms.begin(), arms.begin() + static_cast<std::ptrdiff_t>(named), ", ")));
  if (named < arms.size()) words += fmt::format(" and {} more", arms.size() - named);
  return words;
}

std::string steps_words(const Training& training) {
  return training.layout.steps > 0 ? fmt::format("step {} of {}", training.steps, training.layout.steps)
                                   : fmt::format("step {}", training.steps);
}

// "3000", "1200 to 3000".
template <class Value, class Format>
std::string range_words(const TrainingGroup& group, const Value& value, const Format& format) {
  std::vector<double> values;
  for (const Training* training : group.seeds)
    if (training->status() != "waiting") values.push_back(value(*training));
  if (values.empty()) return "–";
  const auto [least, most] = std::ranges::minmax(values);
  const std::string low = format(least), high = format(most);
  return low == high ? low : fmt::format("{} to {}", low, high);
}

// What must not be overlooked, seeds that share it in one note.
std::string notes_of(const TrainingGroup& group) {
  std::map<std::string, std::vector<std::int64_t>> seeds;
  for (const Training* training : group.seeds) {
    const std::int64_t seed = training->layout.seed;
    const std::string status = training->status();
    if (status == "running") {
      seeds["running: " + steps_words(*training)].push_back(seed);
    } else if (training->record && status == "ok") {
      if (training->record->stopped_early) seeds["stopped early"].push_back(seed);
    } else if (training->record) {
      const std::string& reason = training->record->reason;
      seeds[one_line(reason.empty() ? status : status + ": " + reason)].push_back(seed);
    }
  }
  std::vector<std::string> notes;
  for (const auto& [note, of] : seeds)
    notes.push_back(fmt::format("{} ({} {})", note, of.size() == 1 ? "seed" : "seeds", fmt::join(of, ", ")));
  return fmt::format("{}", fmt::join(notes, "; "));
}

std::string rate_words(double rate) {
  return fmt::format("{:.4g}", rate);
}

// What a reader asks a training for first: the nearer to the task, the better.
constexpr std::array kQualities = {kAboveOptimum, kBitsPerByte, kAccuracy, kValidationLoss, kTrainLoss};

const SummaryRow* quality_of(const Results& results, const std::string& arm) {
  for (const std::string_view metric : kQualities)
    for (const SummaryRow& row : results.summary.rows)
      if (row.is_ok() && row.arm == arm && row.workload == kTrain && row.metric == metric && row.no_verdict.empty())
        return &row;
  return nullptr;
}

const SummaryRow* same_of(const Results& results, const SummaryRow& row, const std::string& arm) {
  const auto found = std::ranges::find_if(results.summary.rows, [&](const SummaryRow& other) {
    return other.arm == arm && other.workload == row.workload && other.case_name == row.case_name &&
           other.metric == row.metric;
  });
  return found == results.summary.rows.end() ? nullptr : &*found;
}

// "0.93 × [0.91, 0.95]", "-0.021 [-0.03, -0.01]": what was tested, where it was.
std::string tested_words(const Estimate& estimate, bool is_ratio) {
  std::string words =
      is_ratio ? format_ratio(estimate.median) : fmt::format("a difference of {:+.3g}", estimate.median);
  if (estimate.interval && estimate.interval->is_confident())
    words += is_ratio ? fmt::format(" [{:.3f}, {:.3f}]", estimate.interval->low, estimate.interval->high)
                      : fmt::format(" [{:+.3g}, {:+.3g}]", estimate.interval->low, estimate.interval->high);
  return words;
}

bool share_a_training(const Results& results, const std::string& one, const std::string& other) {
  return std::ranges::any_of(results.layout.trainings, [&](const TrainingLayout& training) {
    const auto has = [&](const std::string& arm) {
      return std::ranges::find(training.arms, arm) != training.arms.end();
    };
    return has(one) && has(other);
  });
}

std::string spread_words(const SummaryRow& row) {
  if (!row.over_seeds || row.over_seeds->low == row.over_seeds->high) return {};
  return fmt::format(" ({} to {} over seeds)", format_value(row.over_seeds->low, row.unit),
                     format_value(row.over_seeds->high, row.unit));
}

// Of a marked row: all metrics of quality have a better side.
bool is_better(const SummaryRow& row) {
  const bool is_more = row.ratio ? row.ratio->median > 1 : row.difference->median > 0;
  return is_more == (row.better == "higher");
}

std::string seeds_words(int seeds) {
  return fmt::format("{} {} too few for a verdict", seeds, seeds == 1 ? "seed is" : "seeds are");
}

}  // namespace

std::string training_progress(const Results& results) {
  const std::vector<Training>& all = results.trainings.all;
  const auto ended = std::ranges::count_if(all, &Training::has_ended);
  if (ended == std::ssize(all)) return {};
  std::vector<std::string> running;
  std::size_t waiting = 0;
  for (const Training& training : all) {
    const std::string status = training.status();
    waiting += status == "waiting" ? 1 : 0;
    if (status == "running")
      running.push_back(fmt::format("{}, seed {}: {}", arms_words(training.layout.arms), training.layout.seed,
                                    steps_words(training)));
  }
  std::string words = fmt::format("Trainings: {} of {} {} ended", ended, all.size(), ended == 1 ? "has" : "have");
  if (!running.empty())
    words += fmt::format("; {} {} under way ({})", running.size(), running.size() == 1 ? "is" : "are",
                         fmt::join(running, "; "));
  if (waiting > 0) words += fmt::format("; {} {} not begun", waiting, waiting == 1 ? "has" : "have");
  return words + ".";
}

WordsTable trainings_table(const Results& results) {
  WordsTable table;
  for (const TrainingGroup& group : shown_groups(results.trainings)) {
    if (table.empty()) table.push_back({"arms", "learning rate", "parameters", "ended", "steps", "time", "notes"});
    const auto ended = std::ranges::count_if(group.seeds, &Training::has_ended);
    table.push_back({arms_words(group.arms), rate_words(group.learning_rate),
                     format_si(static_cast<double>(group.seeds.front()->layout.parameters)),
                     fmt::format("{} of {}", ended, group.seeds.size()),
                     range_words(
                         group, [](const Training& one) { return static_cast<double>(one.steps); },
                         [](double steps) { return fmt::format("{:.0f}", steps); }),
                     range_words(
                         group, [](const Training& one) { return one.seconds; }, format_duration),
                     notes_of(group)});
  }
  return table;
}

WordsTable search_table(const Results& results) {
  WordsTable table;
  for (const RateSearch& search : rate_searches(results.trainings))
    for (const TriedRate& rate : search.rates) {
      if (table.empty()) table.push_back({"arms", "learning rate", "validation loss", "seeds", "notes"});
      std::vector<std::string> notes;
      if (rate.is_kept) notes.emplace_back("kept");
      if (rate.diverged > 0) notes.push_back(fmt::format("{} diverged", rate.diverged));
      if (rate.failed > 0) notes.push_back(fmt::format("{} failed", rate.failed));
      table.push_back({arms_words(search.arms), rate_words(rate.learning_rate),
                       rate.validation_loss ? format_value(*rate.validation_loss, "nats") : "–",
                       fmt::format("{} of {}", rate.ended_well, rate.seeds),
                       fmt::format("{}", fmt::join(notes, "; "))});
    }
  return table;
}

std::string trained_words(const Results& results, const std::string& arm) {
  const SummaryRow* mine = quality_of(results, arm);
  if (mine == nullptr) return {};
  const std::string& baseline = results.layout.baseline;
  const SummaryRow* theirs = same_of(results, *mine, baseline);
  if (share_a_training(results, arm, baseline)) return "the same training as " + one_line(baseline);
  if (theirs == nullptr || (!mine->ratio && !mine->difference)) return trained_figure(results, arm);
  const std::string heading(metric_heading(mine->metric));
  const Estimate& tested = mine->ratio ? *mine->ratio : *mine->difference;
  const std::string values = fmt::format("{} against {}", format_value(mine->estimate.median, mine->unit),
                                         format_value(theirs->estimate.median, theirs->unit));
  if (!has_enough_seeds(tested))
    return fmt::format("{} after training {} ({})", heading, values, seeds_words(tested.n));
  const std::string figures = fmt::format("{}, {}", values, tested_words(tested, mine->ratio.has_value()));
  if (!mine->is_marked) return fmt::format("no difference in {} after training shown: {}", heading, figures);
  return fmt::format("{} {} after training: {}", is_better(*mine) ? "better" : "worse", heading, figures);
}

std::string trained_figure(const Results& results, const std::string& arm) {
  const SummaryRow* mine = quality_of(results, arm);
  if (mine == nullptr) return {};
  return fmt::format("{} after training {}{}", metric_heading(mine->metric),
                     format_value(mine->estimate.median, mine->unit), spread_words(*mine));
}

std::string trained_ranges(const Results& results) {
  const std::string& baseline = results.layout.baseline;
  const SummaryRow* theirs = quality_of(results, baseline);
  if (theirs == nullptr) return {};
  std::vector<const SummaryRow*> rows;
  for (const ArmLayout& arm : results.layout.arms)
    if (const SummaryRow* row = same_of(results, *theirs, arm.name);
        row != nullptr && arm.name != baseline && (row->ratio || row->difference))
      rows.push_back(row);
  if (rows.empty()) return {};
  const auto [least, most] =
      std::ranges::minmax_element(rows, {}, [](const SummaryRow* row) { return row->estimate.median; });
  const auto figure = [](const SummaryRow& row) {
    return fmt::format("{} ({})", format_value(row.estimate.median, row.unit), one_line(row.arm));
  };
  std::string words = fmt::format("After training: {} from {} to {}, against {}", metric_heading(theirs->metric),
                                  figure(**least), figure(**most), figure(*theirs));
  const auto enough = [](const SummaryRow* row) {
    return has_enough_seeds(row->ratio ? *row->ratio : *row->difference);
  };
  if (std::ranges::none_of(rows, enough)) return words;
  const auto better = std::ranges::count_if(rows, [](const auto* row) { return row->is_marked && is_better(*row); });
  const auto worse = std::ranges::count_if(rows, [](const auto* row) { return row->is_marked && !is_better(*row); });
  return words + fmt::format("; of {} arms {} better, {} worse, {} without a shown difference", rows.size(), better,
                             worse, std::ssize(rows) - better - worse);
}

}  // namespace attnlab::report

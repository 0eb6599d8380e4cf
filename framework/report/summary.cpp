#include "report/summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "report/csv.h"
#include "report/format.h"
#include "report/metrics.h"

namespace attnlab::report {
namespace {

// All good rounds of one metric of one arm in one case.
struct Series {
  std::string unit, better;
  bool is_deterministic = true;
  std::map<int, std::vector<double>> samples;  // by round

  // The round is the unit: what was sampled more than once in it counts with its median.
  [[nodiscard]] std::vector<RoundValue> rounds() const {
    std::vector<RoundValue> rounds;
    for (const auto& [round, values] : samples) rounds.push_back({round, median(values)});
    return rounds;
  }
};

using Trials = std::vector<const TrialResult*>;

struct Cell {
  std::vector<std::string> metrics;  // in the order of the tables
  std::map<std::string, Series> series;
  int failed = 0;
  std::string failure;  // of the first that failed
};

bool is_same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

std::string status_text(const std::string& status, const std::string& reason) {
  return one_line(reason.empty() ? status : status + ": " + reason);
}

Cell collect(const Trials& trials) {
  Cell cell;
  for (const TrialResult* trial : trials) {
    if (!trial->is_ok()) {
      if (cell.failed++ == 0) cell.failure = status_text(trial->status, trial->reason);
      continue;
    }
    for (const Sample& sample : trial->samples) {
      Series& series = cell.series[sample.metric];
      if (series.samples.empty()) cell.metrics.push_back(sample.metric);
      series.unit = sample.unit;
      series.better = sample.better;
      series.is_deterministic &= sample.is_deterministic;
      series.samples[trial->round].push_back(sample.value);
    }
  }
  std::ranges::stable_sort(cell.metrics, {}, [](const std::string& metric) { return metric_rank(metric); });
  return cell;
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
    return std::move(summary_);
  }

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // arm, workload, case

  static SummaryRow row_of(const ArmLayout& arm, const CaseLayout& entry) {
    SummaryRow row;
    row.arm = arm.name;
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
      add_figures(row, cell.series.at(metric));
      summary_.rows.push_back(std::move(row));
    }
    if (cell.failed > 0) add_status(arm, entry, cell.failure, cell.failure.starts_with("refused") ? 0 : cell.failed);
  }

  void add_figures(SummaryRow& row, const Series& series) {
    row.unit = series.unit;
    row.better = series.better;
    const std::vector<RoundValue> rounds = series.rounds();
    std::vector<double> values;
    for (const RoundValue& entry : rounds) values.push_back(entry.value);
    const bool is_steady = std::ranges::all_of(values, [&](double value) { return is_same(value, values.front()); });
    if (series.is_deterministic && !is_steady)
      warn(row, "was said to be the same in every round, but differs: treat it with suspicion");
    if ((row.metric == kShareOfFmaPeak || row.metric == kShareOfReadBandwidth) &&
        std::ranges::any_of(values, [](double value) { return value > 1; }))
      warn(row, "is above 100 %: the roof was measured too low, so no share of it is valid");

    const bool counts_once = series.is_deterministic && is_steady;
    row.estimate = counts_once ? estimate(std::span(values).first(1)) : estimate(values);
    const auto baseline = cells_.find({layout_.baseline, row.workload, row.case_name});
    if (baseline == cells_.end()) return;
    const auto theirs = baseline->second.series.find(row.metric);
    if (theirs == baseline->second.series.end()) return;
    // What counts once is measured once: its round need not be one of the baseline's.
    row.ratio = counts_once && theirs->second.is_deterministic
                    ? paired_ratio(std::vector{RoundValue{0, values.front()}},
                                   std::vector{RoundValue{0, theirs->second.rounds().front().value}})
                    : paired_ratio(rounds, theirs->second.rounds());
  }

  void warn(const SummaryRow& row, const std::string& what) {
    summary_.warnings.push_back(
        fmt::format("{}, {}: {} {}", row.arm, case_title({row.workload, row.case_name}), row.metric, what));
  }

  const StudyLayout& layout_;
  std::map<Key, Cell> cells_;
  Summary summary_;
};

// The two columns of an interval.
std::array<std::string, 2> bounds(const std::optional<Interval>& interval) {
  if (!interval) return {};
  return {csv_number(interval->low), csv_number(interval->high)};
}

std::string count_field(int count) {
  return count > 0 ? std::to_string(count) : std::string();
}

}  // namespace

Summary summarise(const StudyLayout& layout, const std::vector<TrialResult>& trials) {
  return Summariser(layout, trials).run();
}

std::string summary_csv(const Summary& summary) {
  std::string csv =
      csv_line({"arm", "attention", "position", "cache", "workload", "case", "metric", "unit", "better", "n", "median",
                "ci_low", "ci_high", "baseline_ratio", "ratio_low", "ratio_high", "status"});
  for (const SummaryRow& row : summary.rows) {
    const auto [low, high] = bounds(row.estimate.interval);
    const auto [ratio_low, ratio_high] = row.ratio ? bounds(row.ratio->interval) : std::array<std::string, 2>();
    csv += csv_line({row.arm, row.attention, row.position, row.cache, row.workload, row.case_name, row.metric, row.unit,
                     row.better, count_field(row.estimate.n), row.is_ok() ? csv_number(row.estimate.median) : "", low,
                     high, row.ratio ? csv_number(row.ratio->median) : "", ratio_low, ratio_high, row.status});
  }
  return csv;
}

std::string samples_csv(const StudyLayout& layout, const std::vector<TrialResult>& trials) {
  std::map<std::string, std::size_t> arm_rank;
  for (const ArmLayout& arm : layout.arms) arm_rank.emplace(arm.name, arm_rank.size());
  std::vector<std::pair<std::tuple<std::size_t, std::ptrdiff_t, int>, const TrialResult*>> ordered;
  for (const TrialResult& trial : trials) {
    const auto entry = std::ranges::find(layout.cases, CaseLayout{trial.workload, trial.case_name});
    ordered.push_back({{arm_rank[trial.arm], entry - layout.cases.begin(), trial.round}, &trial});
  }
  std::ranges::stable_sort(ordered, {}, [](const auto& entry) { return entry.first; });

  std::string csv = csv_line({"arm", "attention", "position", "cache", "workload", "case", "round", "metric", "unit",
                              "better", "value", "status"});
  for (const auto& [rank, trial] : ordered) {
    const auto add = [&](const Sample& sample, const std::string& value) {
      csv += csv_line({trial->arm, trial->attention, trial->position, trial->cache, trial->workload, trial->case_name,
                       std::to_string(trial->round), sample.metric, sample.unit, sample.better, value,
                       status_text(trial->status, trial->reason)});
    };
    for (const Sample& sample : trial->samples) add(sample, csv_number(sample.value));
    if (trial->samples.empty()) add({.better = ""}, "");
  }
  return csv;
}

}  // namespace attnlab::report

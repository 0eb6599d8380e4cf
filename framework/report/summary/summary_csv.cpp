#include "report/summary/summary.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "report/read/csv.h"
#include "report/summary/text_windows.h"

namespace attnlab::report {
namespace {

// The two columns of an interval.
std::array<std::string, 2> bounds(const std::optional<Interval>& interval) {
  if (!interval) return {};
  return {csv_number(interval->low), csv_number(interval->high)};
}

std::string count_field(int count) {
  return count > 0 ? std::to_string(count) : std::string();
}

}  // namespace

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

std::string comparisons_csv(const StudyLayout& layout, const Summary& summary) {
  std::string csv = csv_line({"arm", "compared_with", "workload", "case", "metric", "unit", "better", "n", "ratio",
                              "ratio_low", "ratio_high", "marked", "unstable"});
  const auto add = [&](const SummaryRow& row, const std::string& reference, const Estimate& ratio, bool is_marked,
                       bool is_unstable) {
    const auto [low, high] = bounds(ratio.interval);
    csv += csv_line({row.arm, reference, row.workload, row.case_name, row.metric, row.unit, row.better,
                     count_field(ratio.n), csv_number(ratio.median), low, high, is_marked ? "yes" : "no",
                     is_unstable ? "yes" : "no"});
  };
  for (const SummaryRow& row : summary.rows)
    if (row.ratio && !row.is_baseline) add(row, layout.baseline, *row.ratio, row.is_marked, row.is_unstable);
  for (const FurtherRatio& further : summary.further)
    add(summary.rows[further.row], further.reference, further.ratio, further.is_marked, further.is_unstable);
  return csv;
}

std::string samples_csv(const StudyLayout& layout, const std::vector<TrialResult>& trials) {
  std::map<std::string, std::size_t> arm_rank;
  for (const ArmLayout& arm : layout.arms) arm_rank.emplace(arm.name, arm_rank.size());
  using Rank = std::tuple<std::size_t, std::ptrdiff_t, int, std::int64_t>;
  std::vector<std::pair<Rank, const TrialResult*>> ordered;
  for (const TrialResult& trial : trials) {
    const auto entry = std::ranges::find(layout.cases, CaseLayout{trial.workload, trial.case_name});
    ordered.push_back({{arm_rank[trial.arm], entry - layout.cases.begin(), trial.round, trial.seed}, &trial});
  }
  std::ranges::stable_sort(ordered, {}, [](const auto& entry) { return entry.first; });

  std::string csv = csv_line({"arm", "attention", "position", "cache", "workload", "case", "round", "seed", "metric",
                              "unit", "better", "value", "status", "window", "tokens"});
  for (const auto& [rank, trial] : ordered) {
    const auto add = [&](const Sample& sample, const std::string& value, const std::string& window,
                         const std::string& tokens) {
      csv += csv_line({trial->arm, trial->attention, trial->position, trial->cache, trial->workload, trial->case_name,
                       std::to_string(trial->round), std::to_string(trial->seed), sample.metric, sample.unit,
                       sample.better, value, status_text(*trial), window, tokens});
    };
    for (const Sample& sample : trial->samples) add(sample, csv_number(sample.value), "", "");
    if (trial->samples.empty()) add({.better = ""}, "", "", "");
    for (const WindowValue& one : window_values(*trial))
      add({.metric = one.metric, .unit = one.unit, .better = one.better}, csv_number(one.sum),
          std::to_string(one.window), csv_number(one.tokens));
  }
  return csv;
}

}  // namespace attnlab::report

#include "report/summary/tradeoffs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "report/read/metrics.h"
#include "report/summary/arm_series.h"

namespace attnlab::report {
namespace {

constexpr std::array kQualities = {kPerplexity,     kKlToBaseline, kRecallAccuracy, kAnswerAccuracy,
                                   kValidationLoss, kBitsPerByte,  kAccuracy,       kAboveOptimum};
constexpr std::string_view kOwnBytes = "kv_bytes_mean";

struct Column {
  Measure measure;
  std::map<std::string, const SummaryRow*> rows;  // by arm
};

double context_of(const Column& column) {
  const auto& numbers = column.measure.entry.numbers;
  const auto context = numbers.find("context");
  return context == numbers.end() ? 0 : context->second;
}

// First what the verdict speaks of: the longest context, and of several with the same the last.
std::vector<Column> columns_of(const Results& results, std::string_view metric) {
  std::map<std::pair<std::string, std::string>, Column> by_case;
  for (const SummaryRow& row : results.summary.rows) {
    if (row.metric != metric || !row.is_ok()) continue;
    if (!std::isfinite(row.estimate.median) || !row.no_verdict.empty()) continue;
    Column& column = by_case[{row.workload, row.case_name}];
    column.measure = {{row.workload, row.case_name}, row.metric, row.unit, row.better};
    column.rows[row.arm] = &row;
  }
  std::vector<Column> columns;
  for (const CaseLayout& entry : results.layout.cases) {
    const auto found = by_case.find({entry.workload, entry.case_name});
    if (found == by_case.end()) continue;
    found->second.measure.entry = entry;
    columns.push_back(std::move(found->second));
  }
  std::ranges::reverse(columns);
  std::ranges::stable_sort(columns, std::greater(), context_of);
  return columns;
}

// Positive where `one` is better than `other`.
double gain(double one, double other, const std::string& better) {
  return better == "higher" ? one - other : other - one;
}

void mark_front(Tradeoff& tradeoff) {
  const auto dominates = [&](const TradeoffPoint& one, const TradeoffPoint& other) {
    const double quality = gain(one.quality, other.quality, tradeoff.quality.better);
    const double cost = gain(one.cost, other.cost, tradeoff.cost.better);
    return quality >= 0 && cost >= 0 && quality + cost > 0;
  };
  for (TradeoffPoint& point : tradeoff.points)
    point.is_on_front = std::ranges::none_of(tradeoff.points, [&](const auto& one) { return dominates(one, point); });
}

std::vector<Curve> curves_of(const Tradeoff& tradeoff, const std::vector<ArmSeries>& series) {
  std::vector<Curve> curves;
  for (std::size_t i = 0; i < tradeoff.points.size(); ++i) {
    const auto own = std::ranges::find(series, tradeoff.points[i].arm, &ArmSeries::arm);
    const auto known = std::ranges::find(curves, own->series, &Curve::series);
    if (known == curves.end())
      curves.push_back({own->series, {i}});
    else
      known->points.push_back(i);
  }
  std::erase_if(curves, [](const Curve& curve) { return curve.points.size() < 2; });
  for (Curve& curve : curves)
    std::ranges::stable_sort(curve.points, {}, [&](std::size_t index) { return tradeoff.points[index].cost; });
  return curves;
}

void add(std::vector<Tradeoff>& all, const StudyLayout& layout, const std::vector<ArmSeries>& series,
         const Column& quality, const Column& cost) {
  Tradeoff tradeoff{quality.measure, cost.measure, {}, {}};
  for (const ArmLayout& arm : layout.arms) {
    const auto y = quality.rows.find(arm.name);
    const auto x = cost.rows.find(arm.name);
    if (y == quality.rows.end() || x == cost.rows.end()) continue;
    const Estimate& worth = y->second->estimate;
    const Estimate& price = x->second->estimate;
    tradeoff.points.push_back(
        {arm.name, price.median, worth.median, price.interval, worth.interval, y->second->over_seeds});
  }
  if (tradeoff.points.size() < 2) return;
  mark_front(tradeoff);
  // A cache that evicted nothing where the quality was measured has shown nothing of what its size costs.
  for (TradeoffPoint& point : tradeoff.points)
    point.is_on_front = point.is_on_front && !quality.rows.at(point.arm)->evicted_nothing;
  if (cost.measure.unit == "bytes") tradeoff.curves = curves_of(tradeoff, series);
  all.push_back(std::move(tradeoff));
}

// Of every set of arms that share a training all but the one with the most bytes; the first where they are the same.
std::set<std::string> without_training_of_their_own(const StudyLayout& layout, const std::vector<Column>& bytes) {
  const auto bytes_of = [&](const std::string& arm) {
    for (const Column& column : bytes)
      if (const auto row = column.rows.find(arm); row != column.rows.end()) return row->second->estimate.median;
    return 0.0;
  };
  std::set<std::string> others;
  for (const TrainingLayout& training : layout.trainings) {
    if (training.arms.empty()) continue;
    const std::string& largest = *std::ranges::max_element(training.arms, {}, bytes_of);
    for (const std::string& arm : training.arms)
      if (arm != largest) others.insert(arm);
  }
  return others;
}

}  // namespace

std::vector<Tradeoff> tradeoffs(const Results& results) {
  std::vector<Tradeoff> all;
  const std::vector<ArmSeries> series = arm_series(results.layout);
  const auto add_pair = [&](const Column& quality, const Column& cost) {
    add(all, results.layout, series, quality, cost);
  };
  const std::vector<Column> bytes_of_cases = columns_of(results, kKvBytes);
  // A training has no cache of its own, so it takes the bytes that other workloads have, whichever there are.
  const std::vector<Column> own_bytes = columns_of(results, kOwnBytes);
  const std::vector<Column>& bytes_of_any = bytes_of_cases.empty() ? own_bytes : bytes_of_cases;
  const std::set<std::string> sharing = without_training_of_their_own(results.layout, bytes_of_any);
  const std::vector<Column> speeds = columns_of(results, kDecode);
  for (std::string_view metric : kQualities)
    for (Column& quality : columns_of(results, metric)) {
      const bool is_of_training = quality.measure.entry.workload == kTrain;
      if (is_of_training) std::erase_if(quality.rows, [&](const auto& row) { return sharing.contains(row.first); });
      const auto own = std::ranges::find(own_bytes, quality.measure.entry,
                                         [](const Column& one) -> const CaseLayout& { return one.measure.entry; });
      if (own != own_bytes.end()) {
        add_pair(quality, *own);
      } else {
        for (const Column& bytes : is_of_training ? bytes_of_any : bytes_of_cases) add_pair(quality, bytes);
      }
      for (const Column& speed : speeds) add_pair(quality, speed);
    }
  return all;
}

}  // namespace attnlab::report

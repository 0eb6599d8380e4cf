#include "report/summary/predictions.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "report/read/metrics.h"

namespace attnlab::report {
namespace {

const SummaryRow* other_metric(const Results& results, const SummaryRow& row, std::string_view metric) {
  for (const SummaryRow& other : results.summary.rows)
    if (other.is_ok() && other.metric == metric && other.arm == row.arm && other.workload == row.workload &&
        other.case_name == row.case_name)
      return &other;
  return nullptr;
}

double number(const nlohmann::json& environment, const char* pointer) {
  const nlohmann::json::json_pointer place(pointer);
  if (!environment.contains(place) || !environment.at(place).is_number()) return 0;
  return environment.at(place);
}

// A detail of the row's trials that is the same in all of them.
double detail(const Results& results, const SummaryRow& row, const char* key) {
  for (const TrialResult& trial : results.trials) {
    if (trial.arm != row.arm || trial.workload != row.workload || trial.case_name != row.case_name) continue;
    const auto found = trial.details.find(key);
    if (found != trial.details.end() && found->is_number()) return found->get<double>();
  }
  return 0;
}

Prediction prediction_of(const SummaryRow& row, double predicted) {
  return {row.arm,   {row.workload, row.case_name}, row.metric,           row.unit,
          predicted, row.estimate.median,           row.estimate.interval};
}

}  // namespace

std::vector<Prediction> predictions(const Results& results) {
  std::vector<Prediction> all;
  const double bandwidth = number(results.environment, "/roof/read_bytes_per_second");
  const double peak = number(results.environment, "/roof/fma_flops_per_second");
  const double caches = number(results.environment, "/caches/l3_bytes") * kCachesHold;
  for (const SummaryRow& row : results.summary.rows) {
    if (!row.is_ok() || row.metric != kDecode || bandwidth <= 0) continue;
    const SummaryRow* rate = other_metric(results, row, kBytesPerSecond);
    const double bytes = detail(results, row, "bytes_per_step");
    if (detail(results, row, "threads") > 0) continue;  // the roof is that of another number of threads
    if (rate == nullptr || !(rate->estimate.median > 0) || bytes <= 0) continue;
    const double steps_per_second = rate->estimate.median / bytes;
    const double tokens_per_step = row.estimate.median / steps_per_second;
    const double reading = bytes / bandwidth;
    // Steps of few tokens multiply f32 whatever the arm says, those of many may be faster than the roof of f32.
    const double computing = peak > 0 ? detail(results, row, "operations_per_step") / peak : 0;
    all.push_back(prediction_of(row, tokens_per_step / std::max(reading, computing)));
    all.back().is_compute_bound = computing > reading;
    all.back().is_in_cache = bytes <= caches;
  }
  for (const SummaryRow& row : results.summary.rows) {
    if (!row.is_ok() || row.metric != kRecallAccuracy || !row.no_verdict.empty()) continue;
    if (const SummaryRow* predicted = other_metric(results, row, kRecallPredicted))
      all.push_back(prediction_of(row, predicted->estimate.median));
  }
  std::erase_if(all, [](const Prediction& one) { return !std::isfinite(one.predicted * one.measured); });
  return all;
}

}  // namespace attnlab::report

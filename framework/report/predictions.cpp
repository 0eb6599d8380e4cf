#include "report/predictions.h"

#include <algorithm>
#include <cmath>

#include "report/metrics.h"

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

// The same limit as for shares of the bandwidth: what a step reads may come from the caches.
bool is_in_cache(const Results& results, const SummaryRow& row) {
  const double cache = number(results.environment, "/caches/l3_bytes") * 2;
  return std::ranges::any_of(results.trials, [&](const TrialResult& trial) {
    if (trial.arm != row.arm || trial.workload != row.workload || trial.case_name != row.case_name) return false;
    const auto bytes = trial.details.find("bytes_per_step");
    return bytes != trial.details.end() && bytes->is_number() && bytes->get<double>() <= cache;
  });
}

Prediction prediction_of(const SummaryRow& row, double predicted) {
  return {row.arm,   {row.workload, row.case_name}, row.metric,           row.unit,
          predicted, row.estimate.median,           row.estimate.interval};
}

}  // namespace

std::vector<Prediction> predictions(const Results& results) {
  std::vector<Prediction> all;
  const double bandwidth = number(results.environment, "/roof/read_bytes_per_second");
  for (const SummaryRow& row : results.summary.rows) {
    if (!row.is_ok() || row.metric != kDecode || bandwidth <= 0) continue;
    const SummaryRow* bytes = other_metric(results, row, kBytesPerSecond);
    // Tokens per byte are those of the trial itself, whatever the number of sequences.
    if (bytes == nullptr || !(bytes->estimate.median > 0)) continue;
    all.push_back(prediction_of(row, bandwidth * row.estimate.median / bytes->estimate.median));
    all.back().is_in_cache = is_in_cache(results, row);
  }
  for (const SummaryRow& row : results.summary.rows) {
    if (!row.is_ok() || row.metric != kRecallAccuracy) continue;
    if (const SummaryRow* predicted = other_metric(results, row, "recall_predicted"))
      all.push_back(prediction_of(row, predicted->estimate.median));
  }
  std::erase_if(all, [](const Prediction& one) { return !std::isfinite(one.predicted * one.measured); });
  return all;
}

}  // namespace attnlab::report

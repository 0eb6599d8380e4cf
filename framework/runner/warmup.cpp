#include "runner/warmup.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <nlohmann/json.hpp>

#include "report/read/metrics.h"
#include "report/statistics/statistics.h"

namespace attnlab::experiment {
namespace {

constexpr double kLeastNoise = 0.02;
// From a median absolute deviation to the standard error of a median, for normal errors.
constexpr double kDeviationToSigma = 1.4826;
constexpr double kMedianPenalty = 1.2533;

}  // namespace

void to_json(nlohmann::json& json, const WarmupRecord& record) {
  json = {
      {"rounds", record.rounds}, {"agreed", record.agreed}, {"difference", record.difference}, {"most", record.most}};
}

void from_json(const nlohmann::json& json, WarmupRecord& record) {
  record.rounds = json.value("rounds", 0);
  record.agreed = json.value("agreed", false);
  record.difference = json.value("difference", 0.0);
  record.most = json.value("most", 0);
}

void add_throughputs(WarmupRound& round, const report::TrialResult& trial) {
  for (const report::Sample& sample : trial.samples)
    if (sample.metric == report::kPrefill || sample.metric == report::kDecode)
      round[trial.arm + '\n' + std::to_string(trial.seed) + '\n' + trial.case_name + '\n' + sample.metric] =
          sample.value;
}

Agreement compare(const WarmupRound& before, const WarmupRound& after) {
  std::vector<double> logs;
  for (const auto& [name, value] : after)
    if (const auto found = before.find(name); found != before.end() && found->second > 0 && value > 0)
      logs.push_back(std::log(value / found->second));
  if (logs.empty()) return {0, kLeastNoise};
  const double middle = report::median(logs);
  std::vector<double> off;
  for (const double log : logs) off.push_back(std::abs(log - middle));
  const double error =
      kMedianPenalty * kDeviationToSigma * report::median(off) / std::sqrt(static_cast<double>(logs.size()));
  return {std::expm1(std::abs(middle)), std::max(kLeastNoise, 2 * error)};
}

}  // namespace attnlab::experiment

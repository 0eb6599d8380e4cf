#include "runner/disturbance.h"

#include <stdlib.h>

#include <algorithm>

#include <nlohmann/json.hpp>

namespace attnlab::experiment {

void to_json(nlohmann::json& json, const RoundRecord& record) {
  json = {{"round", record.round},
          {"attempt", record.attempt},
          {"load_average", record.load_average},
          {"other_cpu_share", record.other_cpu_share},
          {"steal_share", record.steal_share},
          {"disturbed", record.disturbed},
          {"repeated", record.repeated},
          {"counts", record.counts}};
  if (record.frequency_mhz) json["frequency_mhz"] = *record.frequency_mhz;
}

void from_json(const nlohmann::json& json, RoundRecord& record) {
  record = {};
  json.at("round").get_to(record.round);
  record.attempt = json.value("attempt", 1);
  record.load_average = json.value("load_average", 0.0);
  record.other_cpu_share = json.value("other_cpu_share", 0.0);
  record.steal_share = json.value("steal_share", 0.0);
  record.disturbed = json.value("disturbed", false);
  record.repeated = json.value("repeated", false);
  record.counts = json.value("counts", !record.repeated);
  if (json.contains("frequency_mhz")) record.frequency_mhz = json.at("frequency_mhz").get<double>();
}

bool is_quieter(const RoundRecord& attempt, const RoundRecord& before) {
  const auto noise = [](const RoundRecord& record) {
    return std::max(record.other_cpu_share / kMostOtherShare, record.steal_share / kMostStealShare);
  };
  return noise(attempt) < noise(before);
}

RoundRecord judge(const CpuTimes& before, const CpuTimes& after, double own_seconds, double wall_seconds) {
  RoundRecord record;
  const double total = after.total - before.total;
  if (total <= 0) return record;
  record.other_cpu_share = std::clamp((after.busy - before.busy - own_seconds) / total, 0.0, 1.0);
  record.steal_share = std::clamp((after.steal - before.steal) / total, 0.0, 1.0);
  record.disturbed = wall_seconds >= kLeastJudgedSeconds &&
                     (record.other_cpu_share > kMostOtherShare || record.steal_share > kMostStealShare);
  return record;
}

DisturbanceWatch::DisturbanceWatch()
    : before_(cpu_times()), own_before_(own_cpu_seconds()), began_(std::chrono::steady_clock::now()) {}

RoundRecord DisturbanceWatch::record(int round, int attempt) const {
  RoundRecord record;
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  if (const auto after = cpu_times(); before_ && after)
    record = judge(*before_, *after, own_cpu_seconds() - own_before_, wall);
  record.round = round;
  record.attempt = attempt;
  if (getloadavg(&record.load_average, 1) != 1) record.load_average = 0;
  record.frequency_mhz = frequency_mhz();
  return record;
}

}  // namespace attnlab::experiment

// Rounds that are measured and thrown away before the first that counts: clocks, page caches and other tenants settle.
// They end when two in a row agree within their own noise, or at a cap.
#pragma once

#include <map>
#include <string>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

#include "report/read/trial_result.h"

namespace attnlab::experiment {

/// What environment.json says under "warmup".
struct WarmupRecord {
  int rounds = 0;         // that were run
  bool agreed = false;    // the last two did
  double difference = 0;  // by which the last was off the one before, as a share
  int most = 0;           // the cap
};

ATTNLAB_API void to_json(nlohmann::json& json, const WarmupRecord& record);
ATTNLAB_API void from_json(const nlohmann::json& json, WarmupRecord& record);

/// Throughputs of one round, by whatever tells two figures apart.
using WarmupRound = std::map<std::string, double>;

/// Prefill and decode throughput of one trial join the round.
ATTNLAB_API void add_throughputs(WarmupRound& round, const report::TrialResult& trial);

struct Agreement {
  double difference = 0;  // what the machine as a whole changed by: the median over all figures, as a share
  double noise = 0;       // two standard errors of that median, from the figures' spread about it; at least 2 %
  [[nodiscard]] bool agrees() const noexcept { return difference <= noise; }
};

/// Over the figures that both rounds have; without any they agree, since there is nothing left to settle.
[[nodiscard]] ATTNLAB_API Agreement compare(const WarmupRound& before, const WarmupRound& after);

}  // namespace attnlab::experiment

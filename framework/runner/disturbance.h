// How much of the machine other processes used while a round ran. A round in which they took more than the shares below
// is repeated once: its figures are of the machine, not of the arms.
#pragma once

#include <chrono>
#include <optional>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

#include "machine/proc_files.h"

namespace attnlab::experiment {

/// Of the time of all processors. A tenth: on two processors a fifth of one of them.
inline constexpr double kMostOtherShare = 0.10;
/// Taken by the host of a virtual machine, which the guest cannot attribute to a process.
inline constexpr double kMostStealShare = 0.05;
/// Ticks are 10 ms long, so that a shorter round has no share to speak of and is never called disturbed.
inline constexpr double kLeastJudgedSeconds = 0.5;

/// One attempt of a round; an entry of "rounds" in environment.json.
struct RoundRecord {
  int round = 0;
  int attempt = 1;
  double load_average = 0;              // of the last minute, at the end
  double other_cpu_share = 0;           // of all processors' time: processes that are not ours
  double steal_share = 0;               // likewise: the host of a virtual machine
  std::optional<double> frequency_mhz;  // mean of all processors at the end, where it can be read
  bool disturbed = false;
  bool repeated = false;  // its trials were measured again, in the next attempt
  bool counts = true;     // its trials are those of the tables; of two attempts the quieter one
};

ATTNLAB_API void to_json(nlohmann::json& json, const RoundRecord& record);
ATTNLAB_API void from_json(const nlohmann::json& json, RoundRecord& record);

/// Whether others took less of the machine than in the attempt before, each share relative to its limit above.
[[nodiscard]] ATTNLAB_API bool is_quieter(const RoundRecord& attempt, const RoundRecord& before);

/// Shares between two looks at the machine. `own_seconds`: processor time of this run meanwhile.
[[nodiscard]] ATTNLAB_API RoundRecord judge(const CpuTimes& before, const CpuTimes& after, double own_seconds,
                                            double wall_seconds);

/// Looks when it is made, and when it is asked; all processes of the round must have been waited for by then.
class ATTNLAB_API DisturbanceWatch {
 public:
  DisturbanceWatch();
  [[nodiscard]] RoundRecord record(int round, int attempt) const;

 private:
  std::optional<CpuTimes> before_;
  double own_before_;
  std::chrono::steady_clock::time_point began_;
};

}  // namespace attnlab::experiment

// The roof that speeds are compared with: the peak arithmetic and memory rates of this machine with a given number of
// threads. Other users of a machine can only lower the result of a probe, so probes are repeated during a run and the
// best one counts as what the machine can do; what it can do in one minute is measured beside the trials of that
// minute. Not a benchmark of AttnLab: nothing of a model runs here.
#pragma once

#include <cstdint>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

namespace attnlab::experiment {

struct RoofProbe {
  double fma_flops_per_second = 0;   // f32 multiply-adds counted as two, all threads together
  double read_bytes_per_second = 0;  // from memory, all threads together
  std::int64_t buffer_bytes = 0;     // what the reading went over
  double bf16_flops_per_second = 0;  // the same of bf16 with sums in f32; 0: not measured

  friend bool operator==(const RoofProbe&, const RoofProbe&) = default;
};

/// Both figures of f32, in about `seconds_budget` and the time to allocate the memory that is read. Starts `threads`
/// threads of its own; nothing else should run. Throws Error where threads or memory cannot be had.
[[nodiscard]] ATTNLAB_API RoofProbe measure_roof(int threads, double seconds_budget);

/// One figure each: the best of at least three repetitions within the budget. Of bf16, the faster of multiply-adds from
/// registers and of a product in the caches, which knows tiles (AMX); 0 where the CPU does not multiply bf16.
[[nodiscard]] ATTNLAB_API double measure_fma(int threads, double seconds_budget);
[[nodiscard]] ATTNLAB_API double measure_bf16(int threads, double seconds_budget);
[[nodiscard]] ATTNLAB_API double measure_read(int threads, double seconds_budget, std::int64_t buffer_bytes);

/// What `threads` threads that want to run for so long get, of the processors that so many can use: 1 on a quiet
/// machine.
[[nodiscard]] ATTNLAB_API double measure_processor_share(int threads, double seconds_budget);

/// What a read probe goes over: 8 times the L3 that `threads` threads can fill, but not more than a quarter of the
/// memory that is free to this process.
[[nodiscard]] ATTNLAB_API std::int64_t read_buffer_bytes(int threads);

/// The roofs that figures are to be compared with, measured at once beside what they belong to: in tens of
/// milliseconds, and the time to get the memory that is read. A figure that is not wanted, or for which there are no
/// threads or no memory, stays 0: the caller has something better to lose.
struct RoofsWanted {
  bool fma = false;
  bool bf16 = false;
  bool read = false;
  std::int64_t most_bytes = 0;  // that the reading may take
};
[[nodiscard]] ATTNLAB_API RoofProbe measure_roof_beside(int threads, const RoofsWanted& wanted);

struct Roof {
  RoofProbe best;                 // each figure by itself
  std::vector<RoofProbe> probes;  // all, in order

  ATTNLAB_API void include(const RoofProbe& probe);
};

ATTNLAB_API void to_json(nlohmann::json& json, const RoofProbe& probe);
ATTNLAB_API void to_json(nlohmann::json& json, const Roof& roof);
ATTNLAB_API void from_json(const nlohmann::json& json, Roof& roof);

}  // namespace attnlab::experiment

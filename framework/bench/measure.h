// A kernel under Google Benchmark: the loop that is timed, and the counters that relate it to the machine's
// roof.
#pragma once

#include <benchmark/benchmark.h>

#include "bench/kernel.h"

namespace attnlab::bench {

/// What figures are compared with.
struct Machine {
  double fma_flops_per_second = 0;
  double read_bytes_per_second = 0;
  double cached_bytes = 0;  // a step that goes over less may be served by the processor's caches
};

/// Counters: GFLOP/s, GB/s, tokens/s, bytes_per_token, kv_bytes, kv_bytes_per_token, kept_rows (of a cache policy; its
/// label says it too), cache_resident (1 or 0), and fma_share or bandwidth_share, whichever roof binds. What cannot be
/// counted is left out, or NaN where `gives_all`: the CSV format wants the same counters everywhere.
void measure(benchmark::State& state, Kernel& kernel, const Machine& machine, bool gives_all);

}  // namespace attnlab::bench

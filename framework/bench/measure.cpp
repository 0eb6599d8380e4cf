#include "bench/measure.h"

#include <fmt/format.h>

#include <chrono>
#include <limits>
#include <string>

namespace attnlab::bench {
namespace {

// The time of Google Benchmark's clock, which a benchmark cannot ask for; and without what its starting and stopping
// costs, which shows where a step takes microseconds.
class Watch {
 public:
  void start() { start_ = std::chrono::steady_clock::now(); }
  void stop() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  [[nodiscard]] double seconds() const noexcept { return seconds_; }

 private:
  std::chrono::steady_clock::time_point start_;
  double seconds_ = 0;
};

// Sums over the steps between two resets.
struct Done {
  double steps = 0, operations = 0, bytes = 0;
  void add(const Work& work, double count) {
    steps += count;
    operations += work.operations * count;
    bytes += work.bytes * count;
  }
};

struct Shares {
  double fma = 0, bandwidth = 0;  // one of them at most; 0: not given
  std::string label;
};

// The roof that binds is the one that would take longer at full speed. What caches may have served is not compared with
// memory, and nothing is claimed to have been faster than the roof.
Shares shares_of(double operations_per_second, double bytes_per_second, bool is_cached, const Machine& machine) {
  const double fma = operations_per_second / machine.fma_flops_per_second;
  const double bandwidth = is_cached ? 0 : bytes_per_second / machine.read_bytes_per_second;
  Shares shares;
  if (is_cached) shares.label = "cache-resident";
  if (fma > 1 || bandwidth > 1) {
    shares.label += shares.label.empty() ? "" : ", ";
    shares.label += "above the measured roof";
  } else if (bandwidth > fma) {
    shares.bandwidth = bandwidth;
  } else {
    shares.fma = fma;
  }
  return shares;
}

}  // namespace

void measure(benchmark::State& state, Kernel& kernel, const Machine& machine, bool gives_all) {
  Watch watch;
  Done done;
  double steps = 0;
  kernel.reset();
  benchmark::IterationCount left = state.max_iterations;
  for (auto _ : state) {
    if (kernel.is_worn()) {
      watch.stop();
      state.PauseTiming();
      done.add(kernel.work(), steps);
      steps = 0;
      kernel.reset();
      state.ResumeTiming();
      watch.start();
    } else if (left == state.max_iterations) {
      watch.start();
    }
    kernel.step();
    ++steps;
    if (--left == 0) watch.stop();
  }
  done.add(kernel.work(), steps);

  const double seconds = watch.seconds();
  const double tokens = done.steps * kernel.tokens();
  const bool is_cached = kernel.footprint() < machine.cached_bytes;
  const Shares shares = shares_of(done.operations / seconds, done.bytes / seconds, is_cached, machine);
  const auto give = [&](const char* name, double value) {
    if (value > 0)
      state.counters[name] = value;
    else if (gives_all)
      state.counters[name] = std::numeric_limits<double>::quiet_NaN();
  };
  give("GFLOP/s", done.operations / seconds / 1e9);
  give("GB/s", done.bytes / seconds / 1e9);
  give("fma_share", shares.fma);
  give("bandwidth_share", shares.bandwidth);
  give("tokens/s", tokens / seconds);
  give("bytes_per_token", done.bytes / tokens);
  give("kv_bytes", kernel.kv_bytes());
  give("kv_bytes_per_token", kernel.kv_bytes_per_token());
  give("kept_rows", kernel.kept_rows());
  state.counters["cache_resident"] = is_cached ? 1 : 0;
  std::string label = shares.label;
  if (const double rows = kernel.kept_rows(); rows > 0)
    label += fmt::format("{}keeps {:.0f} rows", label.empty() ? "" : ", ", rows);
  state.SetLabel(label);
}

}  // namespace attnlab::bench

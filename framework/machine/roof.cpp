#include "machine/roof.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <functional>
#include <new>
#include <numeric>
#include <span>
#include <system_error>
#include <thread>

#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "base/pages.h"
#include "machine/cache_sizes.h"
#include "machine/memory.h"
#include "ops/onednn_product.h"
#include "ops/probe_kernels.h"

namespace attnlab::experiment {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLeastRepetitions = 3;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Starts `threads` threads that wait for each other, or none: where one cannot be had, those before it are sent home.
class Team {
 public:
  Team(int threads, const std::function<void(int)>& work) {
    try {
      for (int thread = 0; thread < threads; ++thread)
        threads_.emplace_back([this, thread, &work] {
          state_.wait(kWaiting);
          if (state_ == kGo) work(thread);
        });
    } catch (const std::system_error& error) {
      release(kGoHome);
      throw Error("", "the probe's " + std::to_string(threads) + " threads cannot be started: " + error.what(),
                  "name fewer threads");
    }
    release(kGo);
  }

 private:
  static constexpr int kWaiting = 0, kGo = 1, kGoHome = 2;

  void release(int state) {
    state_ = state;
    state_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  std::atomic<int> state_ = kWaiting;
  std::vector<std::thread> threads_;
};

// All threads do repetition after repetition, each started together, until the budget is used up.
// Returns the best rate: the work of all threads over the time from the first start to the last end.
double best_rate(int threads, double seconds_budget, const std::function<ProbeWork(int thread, int repetition)>& work) {
  struct alignas(64) Lap {
    Clock::time_point start, end;
    double amount = 0;
  };
  std::vector<Lap> laps(static_cast<std::size_t>(threads));
  std::atomic<std::uint64_t> witness = 0;
  const Clock::time_point begin = Clock::now();
  double best = 0;
  int repetition = 0;
  bool is_over = false;
  const auto judge = [&]() noexcept {
    Clock::time_point start = laps[0].start, end = laps[0].end;
    double amount = 0;
    for (const Lap& lap : laps) {
      start = std::min(start, lap.start);
      end = std::max(end, lap.end);
      amount += lap.amount;
    }
    best = std::max(best, amount / std::max(seconds(end - start), 1e-9));
    ++repetition;
    is_over = repetition >= kLeastRepetitions && seconds(Clock::now() - begin) >= seconds_budget;
  };
  std::barrier judged(threads, judge);  // releases all threads at once, which starts the next repetition
  Team(threads, [&](int thread) {
    Lap& lap = laps[static_cast<std::size_t>(thread)];
    while (!is_over) {
      lap.start = Clock::now();
      const ProbeWork done = work(thread, repetition);
      lap.end = Clock::now();
      lap.amount = done.amount;
      witness ^= done.witness;
      judged.arrive_and_wait();
    }
  });
  return best;
}

std::int64_t whole_granules(std::int64_t bytes) {
  constexpr auto kGranule = static_cast<std::int64_t>(kProbeGranule);
  return std::max<std::int64_t>(1, bytes / kGranule) * kGranule;
}

}  // namespace

double measure_fma(int threads, double seconds_budget) {
  ATTNLAB_CHECK(threads >= 1, "at least one thread");
  // Long enough that the start of the threads does not show, short enough that some repetition is undisturbed.
  constexpr double kRepetitionSeconds = 0.005;
  constexpr std::int64_t kTrialRounds = 200'000;
  const double rate = best_rate(1, 0, [](int, int) { return probe_multiply_adds(kTrialRounds); });
  const double round_flops = probe_multiply_adds(1).amount;
  const auto rounds = static_cast<std::int64_t>(std::max(1.0, rate * kRepetitionSeconds / round_flops));
  return best_rate(threads, seconds_budget, [&](int, int) { return probe_multiply_adds(rounds); });
}

double measure_processor_share(int threads, double seconds_budget) {
  ATTNLAB_CHECK(threads >= 1, "at least one thread");
  std::vector<double> shares(static_cast<std::size_t>(threads));
  const auto processor_seconds = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  Team(threads, [&](int thread) {
    const Clock::time_point begin = Clock::now();
    const double before = processor_seconds();
    while (seconds(Clock::now() - begin) < seconds_budget) continue;
    shares[static_cast<std::size_t>(thread)] = (processor_seconds() - before) / seconds(Clock::now() - begin);
  });
  const auto processors = static_cast<int>(std::thread::hardware_concurrency());
  const double all = std::accumulate(shares.begin(), shares.end(), 0.0);
  return std::clamp(all / std::min(threads, std::max(1, processors)), 0.01, 1.0);
}

double measure_bf16(int threads, double seconds_budget) {
  ATTNLAB_CHECK(threads >= 1, "at least one thread");
  if (!has_bf16_products()) return 0;
  constexpr double kRepetitionSeconds = 0.005;
  constexpr std::int64_t kTrialRounds = 100'000;
  const double rate = best_rate(1, 0, [](int, int) { return probe_bf16_multiply_adds(kTrialRounds); });
  const double round_flops = probe_bf16_multiply_adds(1).amount;
  const auto rounds = static_cast<std::int64_t>(std::max(1.0, rate * kRepetitionSeconds / round_flops));
  const double of_registers =
      best_rate(threads, seconds_budget / 2, [&](int, int) { return probe_bf16_multiply_adds(rounds); });

  // All three matrices together are half of a small L2.
  constexpr std::int64_t kSide = 256;
  constexpr int kProducts = 40;
  const std::vector<std::uint16_t> ones(kSide * kSide, 0x3f80);
  std::vector<std::vector<float>> outs(static_cast<std::size_t>(threads), std::vector<float>(kSide * kSide));
  const double of_products = best_rate(threads, seconds_budget / 2, [&](int thread, int) {
    float* const out = outs[static_cast<std::size_t>(thread)].data();
    for (int i = 0; i < kProducts; ++i)
      onednn_bf16_product({.a = ones.data(),
                           .a_row = kSide,
                           .a_column = 1,
                           .b = ones.data(),
                           .b_row = kSide,
                           .b_column = 1,
                           .out = out,
                           .out_stride = kSide,
                           .rows = kSide,
                           .columns = kSide,
                           .depth = kSide,
                           .accumulate = false,
                           .is_kept = true});
    return ProbeWork{2.0 * kProducts * kSide * kSide * kSide, static_cast<std::uint64_t>(out[0])};
  });
  return std::max(of_registers, of_products);
}

double measure_read(int threads, double seconds_budget, std::int64_t buffer_bytes) {
  ATTNLAB_CHECK(threads >= 1, "at least one thread");
  const auto part = static_cast<std::size_t>(whole_granules(buffer_bytes / threads));
  Pages pages;
  try {
    pages = Pages(part * static_cast<std::size_t>(threads));
  } catch (const std::bad_alloc&) {
    throw Error("", "no memory for the read probe (" + std::to_string(buffer_bytes >> 20) + " MiB)",
                "raise the memory limit of the process");
  }
  const auto part_of = [&](int thread) {
    return std::span<std::byte>(pages.data() + static_cast<std::size_t>(thread) * part, part);
  };
  // By the thread that will read them, so that pages lie in its own memory node. Not zero: untouched or shared zero
  // pages would come from a cache.
  Team(threads, [&](int thread) { std::memset(part_of(thread).data(), thread + 1, part); });
  // How many runs side by side are fastest differs between processors, and a roof is the best of them.
  constexpr std::array<int, 3> kStreams = {1, 2, 4};
  return best_rate(threads, seconds_budget, [&](int thread, int repetition) {
    return probe_read(part_of(thread), kStreams[static_cast<std::size_t>(repetition) % kStreams.size()]);
  });
}

std::int64_t read_buffer_bytes(int threads) {
  const CacheSizes caches = cache_sizes(static_cast<int>(std::thread::hardware_concurrency()));
  constexpr std::int64_t kUnknownCache = std::int64_t{32} << 20;
  const std::int64_t last_level = std::max(caches.l3_bytes, caches.l2_bytes);
  const std::int64_t instances = std::min(threads, caches.l3_bytes > 0 ? caches.l3_instances : threads);
  const std::int64_t wanted = 8 * instances * (last_level > 0 ? last_level : kUnknownCache);
  return whole_granules(std::min(wanted, memory_limit_bytes() / 4));
}

RoofProbe measure_roof(int threads, double seconds_budget) {
  RoofProbe probe;
  probe.buffer_bytes = read_buffer_bytes(threads);
  probe.fma_flops_per_second = measure_fma(threads, seconds_budget / 2);
  probe.read_bytes_per_second = measure_read(threads, seconds_budget / 2, probe.buffer_bytes);
  return probe;
}

RoofProbe measure_roof_beside(int threads, const RoofsWanted& wanted) {
  constexpr double kFmaSeconds = 0.03, kReadSeconds = 0.06;
  const auto figure_of = [](const auto& measure) {
    try {
      return measure();
    } catch (const Error&) {
    } catch (const std::bad_alloc&) {
    }
    return 0.0;  // a limit of the trial: the best roof of the run stands in
  };
  RoofProbe probe;
  if (wanted.fma) probe.fma_flops_per_second = figure_of([&] { return measure_fma(threads, kFmaSeconds); });
  if (wanted.bf16) probe.bf16_flops_per_second = figure_of([&] { return measure_bf16(threads, kFmaSeconds); });
  const std::int64_t bytes = read_buffer_bytes(threads);
  if (!wanted.read || bytes > wanted.most_bytes) return probe;
  probe.read_bytes_per_second = figure_of([&] { return measure_read(threads, kReadSeconds, bytes); });
  probe.buffer_bytes = bytes;
  return probe;
}

void Roof::include(const RoofProbe& probe) {
  probes.push_back(probe);
  best.fma_flops_per_second = std::max(best.fma_flops_per_second, probe.fma_flops_per_second);
  best.bf16_flops_per_second = std::max(best.bf16_flops_per_second, probe.bf16_flops_per_second);
  if (probe.read_bytes_per_second > best.read_bytes_per_second) {
    best.read_bytes_per_second = probe.read_bytes_per_second;
    best.buffer_bytes = probe.buffer_bytes;
  }
}

void to_json(nlohmann::json& json, const RoofProbe& probe) {
  json = {{"fma_flops_per_second", probe.fma_flops_per_second},
          {"read_bytes_per_second", probe.read_bytes_per_second},
          {"buffer_bytes", probe.buffer_bytes}};
  if (probe.bf16_flops_per_second > 0) json["bf16_flops_per_second"] = probe.bf16_flops_per_second;
}

void to_json(nlohmann::json& json, const Roof& roof) {
  json = roof.best;
  json["probes"] = roof.probes;
}

void from_json(const nlohmann::json& json, Roof& roof) {
  roof = {};
  for (const nlohmann::json& probe : json.at("probes"))
    roof.include({probe.at("fma_flops_per_second"), probe.at("read_bytes_per_second"), probe.at("buffer_bytes"),
                  probe.value("bf16_flops_per_second", 0.0)});
}

}  // namespace attnlab::experiment

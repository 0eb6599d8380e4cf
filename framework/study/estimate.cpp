#include "study/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/read/format.h"

namespace attnlab::experiment {
namespace {

constexpr double kLoadBytesPerSecond = 0.7e9;  // weights read and packed, or made from a seed
constexpr double kStartSeconds = 0.05;         // a process
constexpr double kProbeSeconds = 0.15;
constexpr double kQuiet = 0.9;                                // of the processors
constexpr std::int64_t kProbeBytes = std::int64_t{256} << 20;  // less than in a run: an estimate must be quick
// A limit is for trials that hang: one core of a small old machine, several times over.
constexpr double kSlowFlopsPerThread = 10e9;
constexpr double kSlowBytesPerSecond = 2e9;
constexpr double kLimitFactor = 3;
constexpr double kLeastLimitSeconds = 600;

bool runs(const PlannedArm& arm) {
  return arm.refused.empty() && arm.failed.empty();
}

std::string size(double bytes) {
  constexpr double kMebibyte = 1 << 20;
  if (bytes < 1024 * kMebibyte) return fmt::format("{:.{}f} MiB", bytes / kMebibyte, bytes < 10 * kMebibyte ? 1 : 0);
  return fmt::format("{:.1f} GiB", bytes / (1024 * kMebibyte));
}

}  // namespace

std::size_t kv_bytes(const Plan& plan, const PlannedArm& arm, std::size_t planned_case) {
  const PlannedCase& planned = plan.cases[planned_case];
  const auto [rows, sequences] = plan.workload_of(planned).most_rows(planned.index, planned.size);
  return static_cast<std::size_t>(rows * arm.cost.row_bytes + sequences * arm.cases[planned_case].state_bytes);
}

double default_limit_seconds(const Plan& plan, std::size_t planned_case) {
  double most = 0;
  for (const PlannedArm& arm : plan.arms) {
    if (!runs(arm) || !arm.runs(planned_case)) continue;
    const RoofProbe slow{.fma_flops_per_second = kSlowFlopsPerThread * arm.threads,
                         .read_bytes_per_second = kSlowBytesPerSecond};
    const double load = static_cast<double>(arm.weight_bytes) / kLoadBytesPerSecond;
    most = std::max(most, load + trial_seconds(plan, arm, planned_case, slow));
  }
  constexpr double kMinute = 60;
  return std::max(kLeastLimitSeconds, kMinute * std::ceil(kLimitFactor * most / kMinute));
}

double trial_seconds(const Plan& plan, const PlannedArm& arm, std::size_t planned_case, const RoofProbe& roof) {
  const PlannedCase& planned = plan.cases[planned_case];
  if (planned_case == plan.train_case()) return arm.trained == nullptr ? 0 : training_seconds(arm, roof);
  return plan.workload_of(planned).seconds(planned.index, planned.size,
                                           ForwardTime(arm.cost, arm.cases[planned_case].kept, roof));
}

Estimate estimate(const Plan& plan, const RoofProbe& roof) {
  constexpr int kLeastWarmup = 2;
  Estimate all;
  for (const PlannedArm& arm : plan.arms) {
    if (!runs(arm)) continue;
    const double start = kStartSeconds + static_cast<double>(arm.weight_bytes) / kLoadBytesPerSecond;
    double once = 0;   // what is measured in the first round only
    double round = 0;  // what is measured in every round
    double timed = 0;  // what is measured in rounds of warm-up too
    std::size_t most_kv_bytes = 0;
    for (std::size_t index = 0; index < plan.cases.size(); ++index) {
      if (!arm.runs(index) || index == plan.train_case()) continue;
      const PlannedCase& planned = plan.cases[index];
      const double seconds = trial_seconds(plan, arm, index, roof);
      (planned.deterministic ? once : round) += seconds;
      if (planned.is_timed) timed += seconds;
      most_kv_bytes = std::max(most_kv_bytes, kv_bytes(plan, arm, index));
    }
    const auto seeds = static_cast<double>(plan.spec.seeds.size());
    const auto with = [&](int rounds, int warmup) {
      const double warm = timed > 0 ? warmup * (start + timed) : 0;
      return seeds * (once + (round > 0 ? rounds : 1) * (start + round) + warm);
    };
    all.least_seconds += with(plan.spec.repeats.min, std::min(plan.spec.warmup, kLeastWarmup));
    all.most_seconds += with(plan.spec.repeats.max, plan.spec.warmup);
    if (arm.weight_bytes + most_kv_bytes > all.weight_bytes + all.kv_bytes) {
      all.weight_bytes = arm.weight_bytes;
      all.kv_bytes = most_kv_bytes;
      all.largest_arm = arm.arm.name;
    }
  }
  for (const PlannedTraining& training : plan.trainings) {
    const PlannedArm& arm = plan.arms[plan.groups[training.group].arms.front()];
    const double seconds = training_seconds(arm, roof);
    all.training_bytes = std::max(all.training_bytes, arm.tried->bytes);
    all.least_seconds += kStartSeconds + seconds;
    all.most_seconds += kStartSeconds + seconds;
  }
  return all;
}

std::string describe_estimate(const Plan& plan) {
  RoofProbe roof;
  roof.fma_flops_per_second = measure_fma(plan.threads, kProbeSeconds);
  roof.buffer_bytes = std::min(read_buffer_bytes(plan.threads), kProbeBytes);
  roof.read_bytes_per_second = measure_read(plan.threads, kProbeSeconds, roof.buffer_bytes);
  // Roofs are the best that a few short repetitions saw; where others run, most of a study gets less.
  const double share = measure_processor_share(plan.threads, kProbeSeconds);
  const Estimate all = estimate(plan, roof);
  std::string time = report::format_duration(all.least_seconds / share);
  if (const std::string most = report::format_duration(all.most_seconds / share); most != time) time += " to " + most;
  return fmt::format(
      "estimated: {}; {} of memory for \"{}\" (weights {}, caches at their longest case at most {}){}\n"
      "  An estimate: operations at {:.0f} % of {:.0f} GFLOP/s, bytes at {:.0f} % of {:.1f} GB/s (both probed just "
      "now), "
      "process starts and loading{}\n",
      time, size(static_cast<double>(all.weight_bytes + all.kv_bytes)), all.largest_arm,
      size(static_cast<double>(all.weight_bytes)), size(static_cast<double>(all.kv_bytes)),
      plan.trainings.empty() ? "" : fmt::format(", {} for a training", size(all.training_bytes)), 100 * kShareOfPeak,
      roof.fma_flops_per_second / 1e9, 100 * kShareOfBandwidth, roof.read_bytes_per_second / 1e9,
      share < kQuiet ? fmt::format("; all of it by the {:.0f} % of the processors that others leave", 100 * share)
                     : "");
}

}  // namespace attnlab::experiment

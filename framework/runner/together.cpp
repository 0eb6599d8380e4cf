#include "runner/together.h"

#include <algorithm>

#include "machine/memory.h"
#include "study/estimate.h"

namespace attnlab::experiment {
namespace {

// Of what the process may come to hold: packing weights takes some of it for a while, and files are to stay in memory.
constexpr double kShareOfMemory = 0.6;
constexpr double kProcessBytes = 64 << 20;  // beside weights and caches
constexpr std::size_t kMostProcesses = 64;

double bytes_of(const Plan& plan, const ProcessTask& task) {
  const PlannedArm& arm = plan.arms[task.arm];
  std::size_t caches = 0;
  for (const std::size_t index : task.cases) caches = std::max(caches, kv_bytes(plan, arm, index));
  return kProcessBytes + static_cast<double>(arm.weight_bytes + caches);
}

bool has_timed(const Plan& plan, const ProcessTask& task) {
  return std::ranges::any_of(task.cases, [&](std::size_t index) { return plan.cases[index].is_timed; });
}

}  // namespace

std::size_t measured_together(const Plan& plan, std::span<const ProcessTask> tasks) {
  if (!plan.spec.interleave || !has_timed(plan, tasks.front())) return 1;
  const double room = kShareOfMemory * static_cast<double>(memory_limit_bytes());
  double held = bytes_of(plan, tasks.front());
  std::size_t count = 1;
  while (count < std::min(tasks.size(), kMostProcesses) && has_timed(plan, tasks[count]) &&
         held + bytes_of(plan, tasks[count]) <= room)
    held += bytes_of(plan, tasks[count++]);
  return count;
}

}  // namespace attnlab::experiment

#include "runner/together.h"

#include <algorithm>

#include "machine/memory.h"
#include "runner/weights_together.h"
#include "study/estimate.h"

namespace attnlab::experiment {
namespace {

// Of what the process may come to hold: packing weights takes some of it for a while, and files are to stay in memory.
constexpr double kShareOfMemory = 0.6;
constexpr double kProcessBytes = 64 << 20;  // beside weights and caches
constexpr std::size_t kMostProcesses = 64;

// Beside weights.
double bytes_of(const Plan& plan, const ProcessTask& task) {
  std::size_t caches = 0;
  for (const std::size_t index : task.cases) caches = std::max(caches, kv_bytes(plan, plan.arms[task.arm], index));
  return kProcessBytes + static_cast<double>(caches);
}

bool has_timed(const Plan& plan, const ProcessTask& task) {
  return std::ranges::any_of(task.cases, [&](std::size_t index) { return plan.cases[index].is_timed; });
}

}  // namespace

std::size_t measured_together(const Plan& plan, std::span<const ProcessTask> tasks) {
  if (!plan.spec.interleave || !has_timed(plan, tasks.front())) return 1;
  const double room = kShareOfMemory * static_cast<double>(memory_limit_bytes());
  WeightsCount weights(plan);
  double held = 0;
  std::size_t count = 0;
  for (const ProcessTask& task : tasks.first(std::min(tasks.size(), kMostProcesses))) {
    if (!has_timed(plan, task)) break;
    held += bytes_of(plan, task) + static_cast<double>(weights.bytes_more(task));
    if (count > 0 && held > room) break;
    weights.take_in(task);
    ++count;
  }
  return count;
}

}  // namespace attnlab::experiment

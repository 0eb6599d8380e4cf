#include "runner/weights_together.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "assembly/arm_model.h"

namespace attnlab::experiment {
namespace {

constexpr std::size_t kMostTasks = 64;

// The limit of a process is for all that it holds, and is watched from outside, where nobody sees what is shared.
bool shares(const Plan& plan) {
  return plan.spec.limits.memory == 0;
}

std::string key_of(const model::HeldWeight& weight, const ProcessTask& task) {
  return weight.key(static_cast<std::uint64_t>(task.seed));
}

}  // namespace

std::size_t WeightsCount::bytes_more(const ProcessTask& task) const {
  const PlannedArm& arm = plan_.arms[task.arm];
  std::size_t bytes = arm.weight_bytes;
  if (!shares(plan_)) return bytes;
  for (const model::HeldWeight& weight : arm.held_weights)
    if (keys_.contains(key_of(weight, task))) bytes -= std::min(bytes, weight.bytes);
  return bytes;
}

void WeightsCount::take_in(const ProcessTask& task) {
  for (const model::HeldWeight& weight : plan_.arms[task.arm].held_weights) keys_.insert(key_of(weight, task));
}

WeightsTogether::Inherited::Inherited(model::SharedParts parts) : parts_(std::move(parts)) {
  for (const model::SharedWeights* part : parts_) part->room().set_inherited(true);
}

WeightsTogether::Inherited::~Inherited() {
  for (const model::SharedWeights* part : parts_) part->room().set_inherited(false);
}

WeightsTogether::Inherited WeightsTogether::of(std::size_t task) {
  if (!std::exchange(is_packed_, true) && shares(plan_) && tasks_.size() > 1 && tasks_.size() <= kMostTasks) {
    try {
      pack();
    } catch (const std::exception&) {  // each process meets it by itself
      parts_.clear();
    }
  }
  model::SharedParts own;
  for (const auto& [users, part] : parts_)
    if ((users >> task & 1U) != 0) own.push_back(&part);
  return Inherited(std::move(own));
}

void WeightsTogether::pack() {
  std::map<std::string, std::uint64_t> users;
  for (std::size_t task = 0; task < tasks_.size(); ++task)
    for (const model::HeldWeight& weight : plan_.arms[tasks_[task].arm].held_weights)
      users[key_of(weight, tasks_[task])] |= std::uint64_t{1} << task;
  for (const ProcessTask& task : tasks_) {
    const PlannedArm& arm = plan_.arms[task.arm];
    std::optional<model::WeightStore> weights;
    for (const model::HeldWeight& weight : arm.held_weights) {
      const std::string key = key_of(weight, task);
      const auto found = users.find(key);
      if (found == users.end() || (found->second & (found->second - 1)) == 0) continue;
      if (!weights)
        weights.emplace(
            weights_of(arm.resolved, *arm.source,
                       {.seed = static_cast<std::uint64_t>(task.seed), .allow_nonfinite = plan_.allow_nonfinite}));
      weights->pack_for_forks(weight, parts_[found->second]);
      users.erase(found);
    }
  }
  for (const auto& [of, part] : parts_) part.room().set_inherited(false);
}

}  // namespace attnlab::experiment

#include "cluster/unit.h"

#include <algorithm>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/sha256.h"

namespace attnlab::cluster {

NLOHMANN_JSON_SERIALIZE_ENUM(UnitKind,
                             {{UnitKind::training, "training"}, {UnitKind::once, "once"}, {UnitKind::round, "round"}})

namespace {

using experiment::Plan;
using experiment::ProcessTask;

ProcessTask task_of(const Plan& plan, std::size_t arm, std::int64_t seed, int round, bool deterministic) {
  ProcessTask task{arm, seed, round, {}};
  for (std::size_t index = 0; index < plan.cases.size(); ++index)
    if (index != plan.train_case() && plan.arms[arm].runs(index) && plan.cases[index].deterministic == deterministic)
      task.cases.push_back(index);
  return task;
}

// Arms with a training of their own first, then the second arms of each training, and so on: what stands in a row needs
// trainings that stand in a row.
std::vector<std::size_t> arms_in_order(const Plan& plan) {
  std::vector<std::size_t> arms{plan.spec.baseline};
  std::vector<bool> is_there(plan.arms.size());
  is_there[plan.spec.baseline] = true;
  const auto add = [&](std::size_t arm) {
    if (is_there[arm]) return;
    is_there[arm] = true;
    arms.push_back(arm);
  };
  std::size_t most = 0;
  for (const experiment::TrainingGroup& group : plan.groups) most = std::max(most, group.arms.size());
  for (std::size_t rank = 0; rank < most; ++rank)
    for (const experiment::TrainingGroup& group : plan.groups)
      if (rank < group.arms.size()) add(group.arms[rank]);
  for (std::size_t arm = 0; arm < plan.arms.size(); ++arm) add(arm);
  return arms;
}

}  // namespace

std::string Unit::key() const {
  switch (kind) {
    case UnitKind::training:
      return "training " + training;
    case UnitKind::once:
      return fmt::format("once {} {}", seed, arm);
    case UnitKind::round:
      return fmt::format("round {}", round);
  }
  return {};
}

std::string Unit::title() const {
  switch (kind) {
    case UnitKind::training:
      return fmt::format("training of {}, seed {}", arm, seed);
    case UnitKind::once:
      return fmt::format("{}, seed {}", arm, seed);
    case UnitKind::round:
      return fmt::format("round {}", round + 1);
  }
  return {};
}

void to_json(nlohmann::json& json, const Unit& unit) {
  json = {{"kind", unit.kind},   {"arm", unit.arm},           {"seed", unit.seed},
          {"round", unit.round}, {"training", unit.training}, {"check", unit.check}};
}

void from_json(const nlohmann::json& json, Unit& unit) {
  json.at("kind").get_to(unit.kind);
  json.at("arm").get_to(unit.arm);
  json.at("seed").get_to(unit.seed);
  json.at("round").get_to(unit.round);
  json.at("training").get_to(unit.training);
  json.at("check").get_to(unit.check);
}

StudyUnits::StudyUnits(const Plan& plan) : plan_(plan) {
  for (std::size_t arm = 0; arm < plan.arms.size(); ++arm) arms_.emplace(plan.arms[arm].arm.name, arm);
  for (std::size_t index = 0; index < plan.trainings.size(); ++index)
    trainings_.emplace(plan.trainings[index].id, index);
}

std::size_t StudyUnits::arm(const std::string& name) const {
  if (const auto found = arms_.find(name); found != arms_.end()) return found->second;
  throw Error(plan_.spec.file.string(), fmt::format("the study has no arm \"{}\" any more", name));
}

std::size_t StudyUnits::training(const std::string& id) const {
  if (const auto found = trainings_.find(id); found != trainings_.end()) return found->second;
  throw Error(plan_.spec.file.string(), fmt::format("the study has no training {} any more", id));
}

std::vector<ProcessTask> StudyUnits::tasks_of(const Unit& unit) const {
  std::vector<ProcessTask> tasks;
  if (unit.kind == UnitKind::once) tasks.push_back(task_of(plan_, arm(unit.arm), unit.seed, 0, true));
  if (unit.kind == UnitKind::round)
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
      for (const std::int64_t seed : plan_.spec.seeds) tasks.push_back(task_of(plan_, arm, seed, unit.round, false));
  std::erase_if(tasks, [](const ProcessTask& task) { return task.cases.empty(); });
  return tasks;
}

std::string StudyUnits::check_of(const Unit& unit) const {
  if (unit.kind == UnitKind::training) return plan_.trainings[training(unit.training)].id;
  std::string ids;
  for (const ProcessTask& task : tasks_of(unit))
    for (const std::size_t index : task.cases)
      ids += trial_id(plan_, plan_.arms[task.arm], plan_.cases[index], task.seed, task.round);
  return experiment::sha256_of_text(ids).substr(0, 24);
}

std::vector<Unit> StudyUnits::all(int first_round, int end_round) const {
  std::vector<Unit> units;
  const auto add = [&](Unit unit) {
    if (unit.kind != UnitKind::training && tasks_of(unit).empty()) return;
    unit.check = check_of(unit);
    units.push_back(std::move(unit));
  };
  if (first_round == 0) {
    for (const experiment::PlannedTraining& training : plan_.trainings)
      add({.kind = UnitKind::training,
           .arm = plan_.arms[plan_.groups[training.group].arms.front()].arm.name,
           .seed = training.seed,
           .training = training.id});
    const std::vector<std::size_t> arms = arms_in_order(plan_);
    for (const std::int64_t seed : plan_.spec.seeds)
      for (const std::size_t arm : arms) add({.kind = UnitKind::once, .arm = plan_.arms[arm].arm.name, .seed = seed});
  }
  for (int round = first_round; round < end_round; ++round) add({.kind = UnitKind::round, .round = round});
  return units;
}

}  // namespace attnlab::cluster

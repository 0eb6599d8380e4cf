// A plan for people (validate, --dry-run) and for files (plan.yaml).
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "report/read/format.h"
#include "study/plan.h"

namespace attnlab::experiment {
namespace {

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

// "10 min", or "10 min to 3 h 20 min" where cases differ.
std::string limits_text(const Plan& plan) {
  const auto [least, most] = std::ranges::minmax(plan.cases, {}, &PlannedCase::limit_seconds);
  std::string text = report::format_duration(least.limit_seconds);
  if (most.limit_seconds > least.limit_seconds) text += " to " + report::format_duration(most.limit_seconds);
  return text;
}

std::string rounds_text(const Repeats& repeats) {
  if (repeats.min == repeats.max) return std::to_string(repeats.max);
  return fmt::format("{} to {}", repeats.min, repeats.max);
}

// What is said of an arm in one case alone, a line each.
std::string cases_text(const Plan& plan, const PlannedArm& arm) {
  std::string text;
  for (std::size_t index = 0; index < plan.cases.size(); ++index) {
    const ArmCase& one = arm.cases[index];
    const std::string name = plan.cases[index].workload_name + " " + plan.cases[index].label;
    if (!one.refused.empty() && !one.is_absent) text += fmt::format("    {}: refused: {}\n", name, one.refused);
    if (!one.notes.empty()) text += fmt::format("    {}: {}\n", name, joined(one.notes));
  }
  return text;
}

// "  train mha/rope/full (and 2 more arms): 1.2 M parameters, 3000 steps, 3 seeds x 2 learning rates"
std::string training_text(const Plan& plan, const TrainingGroup& group) {
  const PlannedArm& arm = plan.arms[group.arms.front()];
  const TrainedAs& trained = *arm.trained;
  const std::size_t others = group.arms.size() - 1;
  return fmt::format(
      "  train {}{}: {} parameters, {}, {} seed{} x {} learning rate{}\n", arm.arm.name,
      others == 0 ? "" : fmt::format(" (and {} more arm{})", others, others == 1 ? "" : "s"), group.parameters,
      trained.steps ? fmt::format("{} steps", *trained.steps) : report::format_duration(trained.choice.length.count),
      plan.spec.seeds.size(), plan.spec.seeds.size() == 1 ? "" : "s", trained.rates().size(),
      trained.rates().size() == 1 ? "" : "s");
}

nlohmann::ordered_json cases_json(const Plan& plan, const PlannedArm& arm) {
  nlohmann::ordered_json json;
  for (std::size_t index = 0; index < plan.cases.size(); ++index) {
    const ArmCase& one = arm.cases[index];
    nlohmann::ordered_json said;
    if (!one.refused.empty() && !one.is_absent) said["refused"] = one.refused;
    if (!one.notes.empty()) said["notes"] = one.notes;
    if (!said.is_null()) json[plan.cases[index].workload_name + " " + plan.cases[index].label] = std::move(said);
  }
  return json;
}

nlohmann::ordered_json slurm_json(const SlurmChoice& choice) {
  nlohmann::ordered_json json{{"cpus", choice.cpus}};
  for (const auto& [key, value] : {std::pair{"partition", &choice.partition},
                                   std::pair{"account", &choice.account},
                                   std::pair{"constraint", &choice.constraint},
                                   std::pair{"time", &choice.time},
                                   std::pair{"setup", &choice.setup}})
    if (!value->empty()) json[key] = *value;
  if (choice.memory > 0) json["memory"] = choice.memory;
  if (choice.array > 0) json["array"] = choice.array;
  json["file_delay"] = choice.file_delay;
  return json;
}

nlohmann::ordered_json repeats_json(const Repeats& repeats) {
  if (repeats.until == 0) return repeats.max;
  return {{"min", repeats.min}, {"max", repeats.max}, {"until", repeats.until}};
}

}  // namespace

std::string describe_plan(const Plan& plan) {
  std::string text =
      fmt::format("{}: {} arms, {} cases, {} rounds, {}{} threads\n", plan.spec.name, plan.arms.size(),
                  plan.cases.size(), rounds_text(plan.spec.repeats),
                  plan.spec.seeds.size() > 1 ? fmt::format("{} seeds, ", plan.spec.seeds.size()) : "", plan.threads);
  std::size_t least = 0;
  std::size_t most = 0;
  for (const PlannedArm& arm : plan.arms)
    for (std::size_t index = 0; index < plan.cases.size(); ++index) {
      if (!arm.runs(index) || !arm.failed.empty()) continue;
      const bool once = plan.cases[index].deterministic;
      least += plan.spec.seeds.size() * (once ? 1 : plan.spec.repeats.min);
      most += plan.spec.seeds.size() * (once ? 1 : plan.spec.repeats.max);
    }
  std::size_t index = 0;
  for (const PlannedArm& arm : plan.arms) {
    text += fmt::format("  {}{}", arm.arm.name, index++ == plan.spec.baseline ? " (baseline)" : "");
    if (!arm.refused.empty()) {
      text += fmt::format(": refused: {}", arm.refused);
    } else if (!arm.failed.empty()) {
      text += fmt::format(": failed: {}", arm.failed);
    } else if (!arm.notes.empty()) {
      text += fmt::format(": {}", joined(arm.notes));
    }
    text += '\n';
    if (arm.refused.empty()) text += cases_text(plan, arm);
  }
  for (const PlannedCase& planned : plan.cases) text += fmt::format("  {} {}\n", planned.workload_name, planned.label);
  for (const TrainingGroup& group : plan.groups) text += training_text(plan, group);
  text += fmt::format("a trial may take {}{}\n", limits_text(plan),
                      plan.spec.limits.seconds > 0 ? "" : " (limits: {seconds: ...} sets another bound)");
  for (const std::string& warning : plan.warnings) text += fmt::format("warning: {}\n", warning);
  if (least == most) return text + fmt::format("{} trials\n", most);
  return text + fmt::format("{} to {} trials\n", least, most);
}

nlohmann::ordered_json plan_json(const Plan& plan) {
  nlohmann::ordered_json json;
  json["name"] = plan.spec.name;
  json["question"] = plan.spec.question;
  if (plan.source->constructed().empty())
    json["model"] = plan.source->path().string();
  else
    json["model"] = {{"constructed", plan.source->constructed()}};
  if (plan.spec.seeds.size() == 1)
    json["seed"] = plan.spec.seed;
  else
    json["seed"] = plan.spec.seeds;
  json["threads"] = plan.threads;
  json["repeats"] = repeats_json(plan.spec.repeats);
  json["warmup"] = plan.spec.warmup;
  json["interleave"] = plan.spec.interleave;
  json["on_error"] = plan.spec.stops_on_error ? "stop" : "continue";
  if (plan.spec.limits.seconds > 0) json["limits"]["seconds"] = plan.spec.limits.seconds;
  if (plan.spec.limits.memory > 0) json["limits"]["memory"] = plan.spec.limits.memory;
  if (plan.spec.slurm) json["launcher"]["slurm"] = slurm_json(*plan.spec.slurm);
  json["allow_nonfinite"] = plan.allow_nonfinite;
  json["baseline"] = plan.arms[plan.spec.baseline].arm.name;
  for (const std::size_t arm : plan.spec.compare_with) json["compare_with"].push_back(plan.arms[arm].arm.name);
  for (const PlannedArm& arm : plan.arms) {
    nlohmann::ordered_json one;
    one["name"] = arm.arm.name;
    if (!arm.arm.tags.empty()) one["tags"] = arm.arm.tags;
    if (arm.threads != plan.threads) one["threads"] = arm.threads;
    if (const nlohmann::ordered_json model = arm.source->changed_keys(); !model.empty()) one["model"] = model;
    if (!arm.arm.train.is_null())
      one["train"] = arm.trained == nullptr ? nlohmann::ordered_json("none") : describe(*arm.trained);
    const nlohmann::ordered_json described = describe_arm(arm.resolved);
    for (const auto& [kind, component] : described.items()) one[kind] = component;
    if (!arm.refused.empty()) one["refused"] = arm.refused;
    if (!arm.failed.empty()) one["failed"] = arm.failed;
    if (!arm.notes.empty()) one["notes"] = arm.notes;
    if (nlohmann::ordered_json of_cases = cases_json(plan, arm); !of_cases.is_null())
      one["cases"] = std::move(of_cases);
    json["arms"].push_back(std::move(one));
  }
  for (const PlannedCase& planned : plan.cases) {
    nlohmann::ordered_json one{
        {"workload", planned.workload_name}, {"case", planned.label}, {"limit_seconds", planned.limit_seconds}};
    plan.workload_of(planned).describe(one, plan.spec.seed);
    json["cases"].push_back(std::move(one));
  }
  for (const PlannedTraining& training : plan.trainings) {
    nlohmann::ordered_json one{{"id", training.id}, {"seed", training.seed}, {"learning_rate", training.rate}};
    for (const std::size_t arm : plan.groups[training.group].arms) one["arms"].push_back(plan.arms[arm].arm.name);
    json["trainings"].push_back(std::move(one));
  }
  return json;
}

}  // namespace attnlab::experiment

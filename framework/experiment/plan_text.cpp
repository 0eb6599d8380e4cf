// A plan for people (validate, --dry-run) and for files (plan.yaml).
#include <fmt/format.h>

#include "experiment/plan.h"

namespace attnlab::experiment {
namespace {

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& sentence : sentences) text += (text.empty() ? "" : "; ") + sentence;
  return text;
}

std::string rounds_text(const Repeats& repeats) {
  if (repeats.min == repeats.max) return std::to_string(repeats.max);
  return fmt::format("{} to {}", repeats.min, repeats.max);
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
  for (const PlannedCase& planned : plan.cases) {
    least += plan.spec.seeds.size() * (planned.deterministic ? 1 : plan.spec.repeats.min);
    most += plan.spec.seeds.size() * (planned.deterministic ? 1 : plan.spec.repeats.max);
  }
  std::size_t running = 0;
  std::size_t index = 0;
  for (const PlannedArm& arm : plan.arms) {
    text += fmt::format("  {}{}", arm.arm.name, index++ == plan.spec.baseline ? " (baseline)" : "");
    if (!arm.refused.empty()) {
      text += fmt::format(": refused: {}", arm.refused);
    } else if (!arm.failed.empty()) {
      text += fmt::format(": failed: {}", arm.failed);
    } else {
      ++running;
      if (!arm.notes.empty()) text += fmt::format(": {}", joined(arm.notes));
    }
    text += '\n';
  }
  for (const PlannedCase& planned : plan.cases) text += fmt::format("  {} {}\n", planned.workload_name, planned.label);
  for (const std::string& warning : plan.warnings) text += fmt::format("warning: {}\n", warning);
  if (least == most) return text + fmt::format("{} trials\n", running * most);
  return text + fmt::format("{} to {} trials\n", running * least, running * most);
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
  json["on_error"] = plan.spec.stops_on_error ? "stop" : "continue";
  if (plan.spec.limits.seconds > 0) json["limits"]["seconds"] = plan.spec.limits.seconds;
  if (plan.spec.limits.memory > 0) json["limits"]["memory"] = plan.spec.limits.memory;
  json["allow_nonfinite"] = plan.allow_nonfinite;
  json["baseline"] = plan.arms[plan.spec.baseline].arm.name;
  for (const std::size_t arm : plan.spec.compare_with) json["compare_with"].push_back(plan.arms[arm].arm.name);
  for (const PlannedArm& arm : plan.arms) {
    nlohmann::ordered_json one;
    one["name"] = arm.arm.name;
    if (!arm.arm.tags.empty()) one["tags"] = arm.arm.tags;
    if (arm.threads != plan.threads) one["threads"] = arm.threads;
    const nlohmann::ordered_json described = describe_arm(arm.resolved);
    for (const auto& [kind, component] : described.items()) one[kind] = component;
    if (!arm.refused.empty()) one["refused"] = arm.refused;
    if (!arm.failed.empty()) one["failed"] = arm.failed;
    if (!arm.notes.empty()) one["notes"] = arm.notes;
    json["arms"].push_back(std::move(one));
  }
  for (const PlannedCase& planned : plan.cases) {
    nlohmann::ordered_json one{{"workload", planned.workload_name}, {"case", planned.label}};
    if (const auto* recall = std::get_if<RecallWorkload>(&plan.spec.workloads[planned.workload]))
      one.update({{"length", recall->shape.length},
                  {"pairs", recall->shape.pairs},
                  {"examples", recall->examples},
                  {"vocab", recall->shape.vocab},
                  {"seed", recall->seed.value_or(plan.spec.seed)}});
    json["cases"].push_back(std::move(one));
  }
  return json;
}

}  // namespace attnlab::experiment

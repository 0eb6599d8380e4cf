#include "study/planned_study.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>

#include "base/sha256.h"
#include "study/study_inputs.h"

namespace attnlab::experiment {
namespace {

using nlohmann::ordered_json;
using Numbers = std::map<std::string, double>;

// A number, or a text that is one: budgets are written "64" or "25%".
std::optional<double> number_in(const ordered_json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  const std::string text = value.get<std::string>();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(number)) return std::nullopt;  // "nan" may be a choice
  return number;
}

// {gqa: {kv_heads: 2, ...}} -> attention.kv_heads: 2.
void add_numbers(const std::string& kind, const ordered_json& component, Numbers& numbers) {
  if (!component.is_object()) return;
  for (const auto& [id, options] : component.items()) {
    if (id == "layers" || !options.is_object()) continue;
    for (const auto& [option, value] : options.items())
      if (const auto number = number_in(value)) numbers[kind + "." + option] = *number;
  }
}

// Only what is the same in every layer.
Numbers numbers_of(const ordered_json& resolved) {
  Numbers all;
  for (const auto& [kind, component] : resolved.items()) {
    Numbers numbers;
    add_numbers(kind, component, numbers);
    if (component.is_object() && component.contains("layers"))
      for (const auto& [layer, own] : component.at("layers").items()) {
        Numbers of_layer;
        add_numbers(kind, own, of_layer);
        std::erase_if(numbers, [&](const auto& one) {
          const auto found = of_layer.find(one.first);
          return found == of_layer.end() || found->second != one.second;
        });
      }
    all.merge(numbers);
  }
  return all;
}

report::ArmLayout layout_of(const PlannedArm& arm) {
  report::ArmLayout layout;
  layout.name = arm.arm.name;
  layout.attention = arm.arm.attention.text();
  layout.position = arm.arm.position.text();
  layout.cache = arm.arm.cache.text();
  layout.notes = arm.notes;
  layout.refused = arm.refused;
  layout.tags = arm.arm.tags;
  if (arm.resolved.layers.empty()) return layout;
  layout.resolved = describe_arm(arm.resolved);
  layout.numbers = numbers_of(layout.resolved);
  if (arm.kv_heads > 0) layout.numbers["kv_heads"] = arm.kv_heads;
  if (arm.arm.threads > 0) layout.numbers["threads"] = arm.threads;
  const ordered_json changed = arm.source->changed_keys();
  layout.but_for_cache = sha256_of_text(ordered_json{
      {"attention", layout.resolved.at("attention")},
      {"position", layout.resolved.at("position")},
      {"model", changed},
      {"weights", layout.resolved.value("weights", "")},
      {"compute", layout.resolved.value("compute", "")},
      {"threads", arm.threads},
      {"training", arm.training_key}}.dump());
  for (const auto& [key, value] : changed.items())
    if (const auto number = number_in(value)) layout.numbers["model." + key] = *number;
  return layout;
}

report::TrainingLayout layout_of(const Plan& plan, const PlannedTraining& training) {
  const TrainingGroup& group = plan.groups[training.group];
  const TrainedAs& trained = *plan.arms[group.arms.front()].trained;
  report::TrainingLayout layout{.id = training.id,
                                .seed = training.seed,
                                .learning_rate = training.rate,
                                .is_searched = trained.rates().size() > 1,
                                .parameters = group.parameters,
                                .steps = trained.steps.value_or(0)};
  for (const std::size_t arm : group.arms) layout.arms.push_back(plan.arms[arm].arm.name);
  return layout;
}

}  // namespace

report::StudyLayout layout_of(const Plan& plan, int rounds) {
  report::StudyLayout layout;
  layout.name = plan.spec.name;
  layout.question = plan.spec.question;
  layout.model = model_identity(plan);
  for (const std::size_t arm : plan.spec.compare_with) layout.compare_with.push_back(plan.arms[arm].arm.name);
  layout.rounds = rounds;
  layout.seeds = plan.spec.seeds;
  layout.least_rounds = plan.spec.repeats.min;
  layout.most_rounds = plan.spec.repeats.max;
  layout.until = plan.spec.repeats.until;
  layout.baseline = plan.arms[plan.spec.baseline].arm.name;
  layout.warnings = plan.warnings;
  for (const PlannedArm& arm : plan.arms) layout.arms.push_back(layout_of(arm));
  for (const PlannedTraining& training : plan.trainings) layout.trainings.push_back(layout_of(plan, training));
  for (const PlannedCase& planned : plan.cases)
    layout.cases.push_back({planned.workload_name, planned.label, plan.workload_of(planned).numbers(planned.index),
                            plan.workload_of(planned).data(*plan.files, plan.spec.seeds)});
  for (const PlannedArm& arm : plan.arms) {
    if (!arm.refused.empty()) continue;
    for (std::size_t index = 0; index < plan.cases.size(); ++index) {
      const PlannedCase& planned = plan.cases[index];
      if (!arm.runs(index)) {  // one row says so
        if (!arm.cases[index].is_absent) layout.trials.push_back(trial_id(plan, arm, planned, plan.spec.seed, 0));
        continue;
      }
      for (const std::int64_t seed : plan.spec.seeds)
        for (int round = 0; round < (planned.deterministic ? 1 : rounds); ++round)
          layout.trials.push_back(trial_id(plan, arm, planned, seed, round));
    }
  }
  return layout;
}

std::vector<std::filesystem::path> plugin_files(const Plan& plan) {
  std::set<std::filesystem::path> files;
  for (const PlannedArm& arm : plan.arms)
    for (const ResolvedLayer& layer : arm.resolved.layers)
      for (const Descriptor* component : layer.descriptors()) files.insert(component->file);
  return {files.begin(), files.end()};
}

std::vector<std::string> changes(const report::StudyLayout& before, const report::StudyLayout& now) {
  std::vector<std::string> lines;
  for (const report::ArmLayout& arm : now.arms) {
    const auto old = std::ranges::find(before.arms, arm.name, &report::ArmLayout::name);
    if (old == before.arms.end())
      lines.push_back(fmt::format("the experiment adds arm {}", arm.name));
    else if (nlohmann::json(old->resolved) != nlohmann::json(arm.resolved))
      lines.push_back(fmt::format("the experiment changes arm {}: it is measured anew", arm.name));
  }
  for (const report::ArmLayout& arm : before.arms)
    if (std::ranges::find(now.arms, arm.name, &report::ArmLayout::name) == now.arms.end())
      lines.push_back(fmt::format("the experiment drops arm {}: its trials stay and do not count", arm.name));
  return lines;
}

}  // namespace attnlab::experiment

#include "report/read/study_layout.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace attnlab::report {

void to_json(nlohmann::json& json, const StudyLayout& layout) {
  nlohmann::json arms = nlohmann::json::array();
  for (const ArmLayout& arm : layout.arms)
    arms.push_back({{"name", arm.name},
                    {"attention", arm.attention},
                    {"position", arm.position},
                    {"cache", arm.cache},
                    {"notes", arm.notes},
                    {"refused", arm.refused},
                    {"tags", arm.tags},
                    {"numbers", arm.numbers},
                    {"but_for_cache", arm.but_for_cache},
                    {"resolved", nlohmann::json(arm.resolved)}});
  nlohmann::json cases = nlohmann::json::array();
  for (const CaseLayout& entry : layout.cases)
    cases.push_back(
        {{"workload", entry.workload}, {"case", entry.case_name}, {"numbers", entry.numbers}, {"data", entry.data}});
  json = {{"name", layout.name},    {"question", layout.question},         {"arms", arms},
          {"cases", cases},         {"baseline", layout.baseline},         {"rounds", layout.rounds},
          {"seeds", layout.seeds},  {"least_rounds", layout.least_rounds}, {"most_rounds", layout.most_rounds},
          {"until", layout.until},  {"stopped", layout.stopped},           {"warnings", layout.warnings},
          {"trials", layout.trials}};
  json["compare_with"] = layout.compare_with;
  if (!layout.trainings.empty()) json["trainings"] = layout.trainings;
  if (layout.model.is_known()) json["model"] = layout.model;
}

void from_json(const nlohmann::json& json, StudyLayout& layout) {
  layout = {};
  json.at("name").get_to(layout.name);
  layout.question = json.value("question", "");
  for (const nlohmann::json& arm : json.at("arms"))
    layout.arms.push_back({.name = arm.at("name"),
                           .attention = arm.value("attention", ""),
                           .position = arm.value("position", ""),
                           .cache = arm.value("cache", ""),
                           .notes = arm.value("notes", std::vector<std::string>()),
                           .refused = arm.value("refused", ""),
                           .tags = arm.value("tags", std::vector<std::string>()),
                           .numbers = arm.value("numbers", std::map<std::string, double>()),
                           .but_for_cache = arm.value("but_for_cache", ""),
                           .resolved = arm.value("resolved", nlohmann::json())});
  for (const nlohmann::json& entry : json.at("cases"))
    layout.cases.push_back({entry.at("workload"), entry.value("case", ""),
                            entry.value("numbers", std::map<std::string, double>()),
                            entry.value("data", std::map<std::string, std::string>())});
  layout.baseline = json.value("baseline", "");
  layout.compare_with = json.value("compare_with", std::vector<std::string>());
  layout.model = json.value("model", ModelIdentity());
  layout.rounds = json.value("rounds", 0);
  layout.seeds = json.value("seeds", std::vector<std::int64_t>());
  layout.least_rounds = json.value("least_rounds", layout.rounds);
  layout.most_rounds = json.value("most_rounds", layout.rounds);
  layout.until = json.value("until", 0.0);
  layout.stopped = json.value("stopped", "");
  layout.warnings = json.value("warnings", std::vector<std::string>());
  layout.trainings = json.value("trainings", std::vector<TrainingLayout>());
  layout.trials = json.value("trials", std::vector<std::string>());
}

StudyLayout completed(StudyLayout layout, const std::vector<TrialResult>& trials) {
  for (const TrialResult& trial : trials) {
    if (std::ranges::find(layout.arms, trial.arm, &ArmLayout::name) == layout.arms.end())
      layout.arms.push_back(
          {.name = trial.arm, .attention = trial.attention, .position = trial.position, .cache = trial.cache});
    const CaseLayout entry{trial.workload, trial.case_name};
    // A refused arm, or one that failed before its first workload, belongs to no case.
    if (!entry.workload.empty() && std::ranges::find(layout.cases, entry) == layout.cases.end())
      layout.cases.push_back(entry);
  }
  if (layout.baseline.empty()) {
    const auto first = std::ranges::find_if(layout.arms, [](const ArmLayout& arm) { return arm.refused.empty(); });
    if (first != layout.arms.end()) layout.baseline = first->name;
  }
  if (layout.measured_against.empty()) layout.measured_against = layout.baseline;
  std::erase_if(layout.compare_with, [&](const std::string& name) {
    return name == layout.baseline || std::ranges::find(layout.arms, name, &ArmLayout::name) == layout.arms.end();
  });
  return layout;
}

}  // namespace attnlab::report

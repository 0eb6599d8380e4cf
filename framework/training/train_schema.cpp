#include "training/train_schema.h"

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/json_schema.h"
#include "training/optimiser_choice.h"
#include "training/schedule.h"
#include "training/train_choice.h"
#include "training/train_keys.h"

namespace attnlab::training {
namespace {

using Json = nlohmann::ordered_json;
using config::schema_of;

// A name, or a map of one name with its options.
Json choice_of(const std::vector<std::pair<std::string_view, const config::KeyTable*>>& forms) {
  Json names = Json::array();
  Json map{{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  for (const auto& [name, keys] : forms) {
    names.push_back(name);
    map["properties"][std::string(name)] = schema_of(*keys);
  }
  map["minProperties"] = map["maxProperties"] = 1;
  return config::any_of({{{"enum", std::move(names)}}, std::move(map)});
}

// One of the keys.
Json one_of(const std::vector<std::string_view>& keys) {
  Json all = Json::array();
  for (const std::string_view key : keys) all.push_back({{"required", {key}}});
  return all;
}

}  // namespace

void define_train(Json& definitions) {
  Json train = schema_of(train_keys());
  train["oneOf"] = one_of({length_name(LengthUnit::steps), length_name(LengthUnit::tokens),
                           length_name(LengthUnit::epochs), length_name(LengthUnit::seconds)});
  // An arm names any of the keys, and gives one no value to do without it.
  Json keys = schema_of(train_keys());
  keys.erase("required");
  keys["minProperties"] = 1;
  for (auto& property : keys["properties"]) property = config::any_of({property, {{"type", "null"}}});
  definitions["train"] = std::move(train);
  definitions["arm_train"] = config::any_of({{{"enum", {"none"}}}, std::move(keys)});
  definitions["rate"] = {{"type", "number"}, {"exclusiveMinimum", 0}};
  definitions["rates"] = {
      {"type", "array"}, {"items", config::schema_reference("rate")}, {"minItems", 2}, {"uniqueItems", true}};
  definitions["betas"] = {{"type", "array"},
                          {"items", {{"type", "number"}, {"minimum", 0}, {"maximum", 0.9999999}}},
                          {"minItems", 2},
                          {"maxItems", 2}};
  definitions["adamw"] = schema_of(adamw_keys());
  definitions["optimiser"] = choice_of(
      {{AdamwOptions::kName, &adamw_keys()}, {MuonOptions::kName, &muon_keys()}, {SgdOptions::kName, &sgd_keys()}});
  std::vector<std::pair<std::string_view, const config::KeyTable*>> schedules;
  for (const auto& kind : kChoices<ScheduleKind>)
    schedules.emplace_back(kind.name, kind.value == ScheduleKind::constant ? &constant_keys()
                                      : kind.value == ScheduleKind::wsd    ? &wsd_keys()
                                                                           : &falling_keys());
  definitions["schedule"] = choice_of(schedules);
  definitions["train_search"] = schema_of(search_keys());
  definitions["train_evaluate"] = schema_of(evaluate_keys());
  definitions["train_stop"] = schema_of(stop_keys());
  definitions["train_stop"]["oneOf"] = one_of({"accuracy", "loss"});
}

}  // namespace attnlab::training

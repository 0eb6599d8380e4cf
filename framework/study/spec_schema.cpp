#include "study/spec_schema.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "choices/component_keys.h"
#include "choices/layered_choice.h"
#include "config/json_schema.h"
#include "config/ranges.h"
#include "study/slurm_choice.h"
#include "study/spec_keys.h"
#include "tasks/task_schema.h"
#include "training/train_schema.h"
#include "workloads/prefill.h"
#include "workloads/workload.h"

namespace attnlab::experiment {
namespace {

using Json = nlohmann::ordered_json;
using config::any_of;
using config::list_of;
using config::one_or_list;
using config::schema_of;
using config::schema_reference;
using config::SchemaStyle;

constexpr Kind kArmKinds[] = {Kind::attention, Kind::position, Kind::cache};

// A map of one of the names, and of the keys `beside` it.
Json one_name(Json names, bool takes_others, const std::vector<std::pair<std::string, Json>>& beside) {
  Json schema{{"type", "object"}, {"properties", std::move(names)}};
  schema["additionalProperties"] = takes_others ? Json{{"type", {"object", "null"}}} : Json(false);
  for (const auto& [key, value] : beside) schema["properties"][key] = value;
  // As many keys as those beside the name that are there, and one more.
  Json sizes = Json::array();
  for (unsigned chosen = 0; chosen < 1U << beside.size(); ++chosen) {
    Json required = Json::array();
    for (std::size_t i = 0; i < beside.size(); ++i)
      if (chosen >> i & 1U) required.push_back(beside[i].first);
    Json size{{"minProperties", required.size() + 1}, {"maxProperties", required.size() + 1}};
    if (!required.empty()) size["required"] = required;
    sizes.push_back(std::move(size));
  }
  if (sizes.size() == 1)
    schema.update(sizes.front());
  else
    schema["anyOf"] = std::move(sizes);
  return schema;
}

// Where the options of a component are defined.
std::string options_name(Kind kind, const std::string& id, const SchemaStyle& style) {
  return fmt::format("{}_{}{}", kind_name(kind), id, style.takes_ranges ? "_or_range" : "");
}

// A component: its name, its name with options, and what may stand beside the name.
Json component(const Registry& registry, Kind kind, const SchemaStyle& style,
               const std::vector<std::pair<std::string, Json>>& beside) {
  Json names = Json::array();
  Json maps = Json::object();
  for (const std::string& id : registry.ids(kind)) {
    names.push_back(id);
    maps[id] = schema_reference(options_name(kind, id, style));
  }
  return any_of({{{"enum", names}},
                 {{"type", "string"}, {"minLength", 1}},
                 one_name(std::move(maps), /*takes_others=*/true, beside)});
}

void add_options(const Registry& registry, Kind kind, const SchemaStyle& style, Json& definitions) {
  static const config::KeyTable nothing;
  for (const std::string& id : registry.ids(kind)) {
    const Descriptor& descriptor = *registry.find(kind, id);
    Json options = schema_of(descriptor.options, kind == Kind::cache ? common_cache_keys() : nothing, style);
    options["description"] = descriptor.summary;
    definitions[options_name(kind, id, style)] = std::move(options);
  }
}

void add_components(const Registry& registry, Json& definitions) {
  for (const Kind kind : kArmKinds)
    for (const bool ranges : {false, true}) {
      const SchemaStyle style{.takes_ranges = ranges, .takes_lists = ranges};
      const std::string name = style.reference(kind_name(kind));
      add_options(registry, kind, style, definitions);
      definitions[name + "_of_layer"] = component(registry, kind, style, {});
      const Json layers{{"type", "object"},
                        {"description", "Other components for some layers: 3, 2-, -4, 2-5, \"0,2,5\", every 4 from 3."},
                        {"propertyNames", {{"pattern", kLayersPattern}}},
                        {"additionalProperties", schema_reference(name + "_of_layer")}};
      const Json tags{{"type", "array"}, {"items", {{"type", "string"}}}};
      definitions[name] = component(registry, kind, style, {{"layers", layers}});
      if (ranges)
        definitions[std::string(kind_name(kind)) + "_axis"] =
            one_or_list(component(registry, kind, style, {{"layers", layers}, {"tags", tags}}));
    }
}

// A storage of both sides, of each side, and pages.
void add_storages(const Registry& registry, Json& definitions) {
  for (const bool ranges : {false, true}) {
    const SchemaStyle style{.takes_ranges = ranges, .takes_lists = ranges};
    add_options(registry, Kind::storage, style, definitions);
    definitions[style.reference("storage_of_side")] = component(registry, Kind::storage, style, {});
    Json apart = schema_of(storage_keys(), style);
    apart["minProperties"] = 1;
    const Json page = schema_of(*config::find_key(storage_keys(), "page"), style);
    Json both = component(registry, Kind::storage, style, {{"page", page}});
    both["anyOf"].push_back(std::move(apart));
    definitions[style.reference("storage")] = std::move(both);
  }
}

void add_arms(Json& definitions) {
  definitions["arms"] = any_of({schema_reference("arm_list"), schema_of(arms_keys())});
  definitions["arm_list"] = {{"type", "array"}, {"items", schema_of(arm_keys())}};
  definitions["model_keys"] = {{"type", "object"}, {"minProperties", 1}};
  definitions["model_axis"] = one_or_list({{"type", {"object", "null"}}});
  definitions["weights_axis"] = one_or_list(schema_of(arm_keys())["properties"]["weights"]);
  definitions["compute_axis"] = one_or_list(schema_of(arm_keys())["properties"]["compute"]);
  definitions["grid"] = schema_of(grid_keys());
  definitions["grid"]["minProperties"] = 1;
  const auto pattern = [](bool ranges) {
    Json schema = schema_of(pattern_keys(), {ranges});
    schema["minProperties"] = 1;
    return schema;
  };
  definitions["exclude"] = {{"type", "array"}, {"items", pattern(true)}};
  definitions["baseline"] = any_of({{{"type", "string"}}, pattern(false)});
  definitions["compare_with"] = one_or_list(schema_reference("baseline"));
}

void add_workloads(Json& definitions) {
  Json workloads = Json::object();
  for (const WorkloadKind* workload : workload_kinds()) {
    Json schema = schema_of(workload->keys, {.takes_ranges = !workload->reads_ranges});
    schema["description"] = workload->doc;
    if (workload->complete_schema != nullptr) workload->complete_schema(schema);
    workloads[std::string(workload->name)] = std::move(schema);
  }
  definitions["prefill"] = prefill_schema();
  definitions["workloads"] = list_of(one_name(std::move(workloads), false, {}));
  for (const WorkloadKind* workload : workload_kinds())
    if (workload->define_forms != nullptr) workload->define_forms(definitions);
}

void add_ranges(Json& definitions) {
  definitions["range"] = schema_of(config::range_keys());
  definitions["range"]["oneOf"] = {{{"required", {"factor"}}}, {{"required", {"step"}}}};
  const auto ends = [](const Json& end) {
    return Json{{"type", "array"}, {"items", end}, {"minItems", 2}, {"maxItems", 2}};
  };
  definitions["range_ends"] = ends({{"type", "number"}});
  definitions["zip"] = {
      {"type", "object"},
      {"description", "Options that move together: lists of equal length, taken side by side."},
      {"minProperties", 1},
      {"additionalProperties", any_of({{{"type", "array"}, {"minItems", 1}}, schema_reference("range")})}};
  definitions["batch_range_ends"] =
      ends(any_of({{{"type", "number"}}, {{"type", "string"}, {"pattern", "^[0-9]+k$"}}}));
}

// What is included may say what a file leaves out, and nothing drops what was included.
Json root(const config::KeyTable& keys) {
  Json schema = schema_of(keys);
  Json including{{"properties", Json::object()}};
  Json alone{{"properties", Json::object()}, {"required", schema["required"]}};
  alone["anyOf"] = {{{"required", {"workloads"}}}, {{"required", {"train"}}}};
  for (const config::Key& key : keys) {
    const std::string name(key.name);
    including["properties"][name] = any_of({schema["properties"][name], {{"type", "null"}}});
    alone["properties"][name] = schema["properties"][name];
    schema["properties"][name] = {{"description", key.doc}};
  }
  including["properties"]["include"] = alone["properties"]["include"];
  schema.erase("required");
  schema["if"] = {{"required", {"include"}}};
  schema["then"] = including;
  schema["else"] = alone;
  return schema;
}

}  // namespace

Json experiment_schema(const Registry& registry) {
  Json schema;
  schema["$schema"] = "http://json-schema.org/draft-07/schema#";
  schema["title"] = "AttnLab experiment";
  schema["$comment"] = "Written by `attnlab schema` from the declarations that validate; do not edit.";
  schema.update(root(experiment_keys()));
  Json definitions = Json::object();
  const Json path{{"type", "string"}, {"minLength", 1}};
  const Json list_of_paths{{"type", "array"}, {"items", path}, {"minItems", 1}};
  definitions["include"] = one_or_list(path);
  definitions["model"] = any_of({path, list_of_paths, schema_of(constructed_model_keys())});
  definitions["repeats"] =
      any_of({{{"type", "integer"}, {"minimum", 1}, {"maximum", kMaxRepeats}}, schema_of(repeats_keys())});
  definitions["limits"] = schema_of(limits_keys());
  definitions["launcher"] = any_of({{{"enum", {"local", "slurm"}}}, schema_of(launcher_keys())});
  definitions["slurm"] = schema_of(slurm_keys());
  definitions["slurm_time"] = any_of({{{"type", "integer"}, {"minimum", 1}}, {{"type", "string"}}});
  tasks::define_tasks(definitions);
  training::define_train(definitions);
  add_arms(definitions);
  add_components(registry, definitions);
  add_storages(registry, definitions);
  add_workloads(definitions);
  add_ranges(definitions);
  schema["definitions"] = std::move(definitions);
  return schema;
}

}  // namespace attnlab::experiment

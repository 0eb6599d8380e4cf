#include "tasks/task_schema.h"

#include <string>

#include "config/json_schema.h"
#include "config/quantities.h"
#include "tasks/task_kind.h"

namespace attnlab::tasks {
namespace {

using Json = nlohmann::ordered_json;

std::string definition_of(const TaskKind& kind) {
  return "task_" + std::string(kind.name);
}

}  // namespace

Json one_task() {
  Json schema{{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
  for (const TaskKind* kind : task_kinds())
    schema["properties"][std::string(kind->name)] = config::schema_reference(definition_of(*kind));
  schema["minProperties"] = schema["maxProperties"] = 1;
  return schema;
}

void define_tasks(Json& definitions) {
  Json names = Json::array();
  for (const TaskKind* kind : task_kinds()) {
    Json schema = kind->is_list() ? config::list_of(kind->item_schema()) : config::schema_of(kind->options, kind->keys);
    bool is_name_enough = !kind->is_list();
    for (const config::Key& key : kind->keys) {
      if (!key.required) continue;
      schema["required"].push_back(key.name);
      schema["type"] = "object";
      is_name_enough = false;
    }
    schema["description"] = kind->doc;
    definitions[definition_of(*kind)] = std::move(schema);
    if (is_name_enough) names.push_back(kind->name);
  }
  definitions["task"] = config::any_of({{{"enum", std::move(names)}}, one_task()});
  definitions["count"] =
      config::any_of({{{"type", "integer"}, {"minimum", 1}}, {{"type", "string"}, {"pattern", config::kCountPattern}}});
}

}  // namespace attnlab::tasks

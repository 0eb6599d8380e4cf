#include "tasks/task_kind.h"

#include <algorithm>
#include <utility>

#include "config/quantities.h"
#include "config/scalars.h"

namespace attnlab::tasks {
namespace {

// Made by the first that registers: the files of a library are initialised in no order.
std::vector<const TaskKind*>& registered() {
  static std::vector<const TaskKind*> kinds;
  return kinds;
}

nlohmann::ordered_json value_json(const OptionValue& value) {
  return std::visit(
      []<class Value>(const Value& held) -> nlohmann::ordered_json {
        if constexpr (std::is_same_v<Value, std::monostate>)
          return nullptr;
        else
          return held;
      },
      value);
}

}  // namespace

Task::~Task() = default;

TaskFacts TaskReading::facts() const {
  nlohmann::ordered_json options = nlohmann::ordered_json::object();
  for (const OptionSpec& option : kind.options) {
    const auto written = values.find(option.name);
    options[option.name] = value_json(written == values.end() ? option.default_value : written->second);
  }
  for (const config::Key& key : kind.keys)
    if (const config::Node* written = node.find(key.name)) options[std::string(key.name)] = config::to_json(*written);
  TaskFacts facts{.name = std::string(kind.name), .where = where};
  facts.resolved[facts.name] = std::move(options);
  return facts;
}

std::vector<const TaskKind*> task_kinds() {
  std::vector<const TaskKind*> kinds = registered();
  std::ranges::sort(kinds, {}, &TaskKind::name);
  return kinds;
}

RegisteredTask::RegisteredTask(TaskKind kind) : kind_(std::move(kind)) {
  registered().push_back(&kind_);
}

RegisteredTask::~RegisteredTask() {
  std::erase(registered(), &kind_);
}

void add_found(const Error& error, const std::filesystem::path& file, const config::Mark& where,
               config::ProblemList& problems) {
  for (const Problem& problem : error.problems()) {
    const std::string named = problem.where.empty() ? file.string() + ":" : problem.where;
    problems.add(where, named + " " + problem.what, problem.remedy);
  }
}

config::Key examples_key() {
  return {.name = "examples",
          .type = config::KeyType::form,
          .doc =
              "Examples of the training split, which are taken again once all were: 100k. Default: no end, every "
              "step sees new ones.",
          .form = "count",
          .written = "count, as 100k"};
}

}  // namespace attnlab::tasks

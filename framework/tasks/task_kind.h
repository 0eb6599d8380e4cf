// The kinds of tasks, by name. A kind is one file of this folder: it declares its options, checks them across each
// other, makes the task, and registers itself; no code outside its file refers to it. Options are declared as those of
// plugins are, so checks of YAML, `attnlab describe` and the JSON Schema come from one table.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>
#include <attnlab/error.h>
#include <attnlab/options.h>

#include "config/keys.h"
#include "config/node.h"
#include "config/problem_list.h"
#include "tasks/task.h"

namespace attnlab::tasks {

struct TaskKind;

/// What the maker of a task is given.
struct TaskReading {
  const TaskKind& kind;
  const config::Node& node;           // the options as they were written
  const config::Mark& where;          // of the task's name
  const std::filesystem::path& base;  // what paths are relative to that stand in no file
  config::ProblemList& problems;
  const std::filesystem::path& tokenizer;  // of texts that say no other; empty: bytes
  OptionValues values;                     // those that were written, checked against the declarations
  std::int64_t examples = kEndless;        // of the training split, where the kind takes the key
  [[nodiscard]] TaskFacts facts() const;   // name, place, resolved options; the rest is the maker's
};

/// Everything about a task that is known without an entry of it.
struct TaskKind {
  std::string_view name;
  std::string_view doc;
  std::string_view paper = {};
  config::KeyTable keys = {};  // beside the options: files, counts with a unit
  OptionSchema options = {};
  void (*check)(const OptionValues& values, Problems& problems) = nullptr;
  /// Null pointer where a problem was added.
  std::function<std::unique_ptr<Task>(const TaskReading&)> make = {};
  /// Of a kind that is written as a list, and has neither options nor keys: what an item may be, in the JSON Schema.
  nlohmann::ordered_json (*item_schema)() = nullptr;

  [[nodiscard]] bool is_list() const noexcept { return item_schema != nullptr; }
};

/// The kind with the options of a struct (attnlab/options.h), which its maker gets decoded.
template <class Options>
TaskKind task_kind(TaskKind kind, std::unique_ptr<Task> (*make)(const Options&, const TaskReading&)) {
  kind.options = option_schema<Options>();
  kind.check = check_options<Options>;
  kind.make = [make](const TaskReading& reading) { return make(decode_options<Options>(reading.values), reading); };
  return kind;
}

/// By name.
[[nodiscard]] ATTNLAB_API std::vector<const TaskKind*> task_kinds();

/// Makes a kind known while it lives. A constant of the kind's file.
class ATTNLAB_API RegisteredTask {
 public:
  explicit RegisteredTask(TaskKind kind);
  ~RegisteredTask();
  RegisteredTask(const RegisteredTask&) = delete;
  RegisteredTask& operator=(const RegisteredTask&) = delete;

 private:
  TaskKind kind_;
};

/// What was found in a file, at the place that names the file.
void add_found(const Error& error, const std::filesystem::path& file, const config::Mark& where,
               config::ProblemList& problems);

/// The key `examples` of tasks that make as many as are wanted.
[[nodiscard]] config::Key examples_key();

}  // namespace attnlab::tasks

#include "cli/describe_keys.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/keys.h"
#include "config/option_reader.h"
#include "tasks/task_kind.h"
#include "workloads/workload.h"

namespace attnlab::cli {
namespace {

using config::Key;
using config::KeyTable;
using config::KeyType;

// Bounds from here on only say what a number of the program can hold.
constexpr double kGreat = 2147483647;

std::string type_name(const Key& key) {
  switch (key.type) {
    case KeyType::boolean:
      return "true or false";
    case KeyType::integer:
      return "integer";
    case KeyType::integers:
      return "integer or a list";
    case KeyType::real:
      return "number";
    case KeyType::text:
      return "text";
    case KeyType::texts:
      return "list of texts";
    case KeyType::choice:
      return fmt::format("{}", fmt::join(key.choices, " | "));
    case KeyType::bytes:
      return "bytes, as 8GiB";
    case KeyType::share:
      return "share, as 2%";
    case KeyType::path:
      return "path";
    case KeyType::paths:
      return "path or a list";
    case KeyType::form:
      return std::string(key.written.empty() ? key.form : key.written);
  }
  return "";
}

std::string bounds(const Key& key) {
  const bool has_min = std::isfinite(key.min), has_max = std::isfinite(key.max) && key.max < kGreat;
  if (has_min && has_max) return fmt::format(", {}{} to {}", key.nonzero ? "above " : "", key.min, key.max);
  if (has_min) return fmt::format(", {} {}", key.nonzero ? "above" : "from", key.min);
  return has_max ? fmt::format(", to {}", key.max) : "";
}

void print_keys(const KeyTable& keys) {
  for (const Key& key : keys)
    fmt::print("  {} ({}{}{})\n      {}\n", key.name, type_name(key), bounds(key), key.required ? ", required" : "",
               key.doc);
}

std::string_view type_name(OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return "true or false";
    case OptionType::integer:
      return "integer";
    case OptionType::real:
      return "number";
    case OptionType::text:
      return "text";
    case OptionType::choice:
      return "choice";
    case OptionType::integers:
      return "list of integers";
    case OptionType::reals:
      return "list of numbers";
    case OptionType::budget:
      return "tokens, share of the context or bytes of a sequence: 64, 0.25, 512KiB";
  }
  return "";
}

std::string bounds(const OptionSpec& option) {
  if (option.type == OptionType::choice) return fmt::format("{}", fmt::join(option.choices, " | "));
  if (option.type != OptionType::integer && option.type != OptionType::real) return "";
  const bool has_min = std::isfinite(option.min) && option.min > -2147483648.0;
  const bool has_max = std::isfinite(option.max) && option.max < 2147483647.0;
  if (has_min && has_max) return fmt::format("{} to {}", option.min, option.max);
  if (has_min) return fmt::format("from {}", option.min);
  if (has_max) return fmt::format("to {}", option.max);
  return "";
}

void describe_workload(const experiment::WorkloadKind& workload) {
  fmt::print("workload {} - {}\nwritten: workloads: [{{{}: {{KEY: VALUE}}}}]\nkeys:\n", workload.name, workload.doc,
             workload.name);
  print_keys(workload.keys);
}

void describe_task(const tasks::TaskKind& task) {
  fmt::print("task {} - {}\n", task.name, task.doc);
  if (!task.paper.empty()) fmt::print("paper: {}\n", task.paper);
  if (task.is_list()) {
    fmt::print("written: train: {{task: {{{}: [{{TASK: {{OPTION: VALUE}}, share: NUMBER}}]}}}}\n", task.name);
    return;
  }
  fmt::print("written: train: {{task: {{{}: {{OPTION: VALUE}}}}}}\noptions:\n", task.name);
  for (const OptionSpec& option : task.options) print_option(option);
  print_keys(task.keys);
}

template <class Use>
void for_every(const std::string& kind, const Use& use) {
  if (kind == "workload")
    for (const experiment::WorkloadKind* workload : experiment::workload_kinds()) use(*workload);
  if (kind == "task")
    for (const tasks::TaskKind* task : tasks::task_kinds()) use(*task);
}

}  // namespace

void print_option(const OptionSpec& option) {
  fmt::print("  {} ({}", option.name, type_name(option.type));
  if (const std::string limits = bounds(option); !limits.empty()) fmt::print(", {}", limits);
  if (!option.unit.empty()) fmt::print(", in {}", option.unit);
  fmt::print(", default {}", config::option_text(option.default_value));
  if (!option.from_model.empty()) fmt::print(", else the model's {}", option.from_model);
  fmt::print(")\n      {}\n", option.doc);
  if (const std::size_t dot = option.name.find('.'); dot != std::string::npos)
    fmt::print("      Written {}: {{{}: VALUE}}.\n", option.name.substr(0, dot), option.name.substr(dot + 1));
}

const std::vector<std::string>& declared_kinds() {
  static const std::vector<std::string> kinds = {"workload", "task"};
  return kinds;
}

void list_declared(const std::string& kind) {
  for_every(kind, [](const auto& one) { fmt::print("  {:<14} {}\n", one.name, one.doc); });
}

std::vector<std::string> declared_names() {
  std::vector<std::string> names;
  for (const std::string& kind : declared_kinds())
    for_every(kind, [&](const auto& one) { names.emplace_back(one.name); });
  return names;
}

bool describe_declared(const std::string& name, bool is_continued) {
  bool found = false;
  const auto begin = [&] {
    if (found || is_continued) fmt::print("\n");
    found = true;
  };
  for (const experiment::WorkloadKind* workload : experiment::workload_kinds()) {
    if (workload->name != name) continue;
    begin();
    describe_workload(*workload);
  }
  for (const tasks::TaskKind* task : tasks::task_kinds()) {
    if (task->name != name) continue;
    begin();
    describe_task(*task);
  }
  return found;
}

}  // namespace attnlab::cli

// `attnlab list` and `attnlab describe` for what no plugin declares: workloads and tasks, from the tables that the
// readers of experiments hold YAML against.
#pragma once

#include <string>
#include <vector>

#include <attnlab/options.h>

namespace attnlab::cli {

/// "workload", "task": what `list` takes beside the kinds of plugins.
[[nodiscard]] const std::vector<std::string>& declared_kinds();
/// The names of one of them with a sentence each.
void list_declared(const std::string& kind);
/// Names of all of them.
[[nodiscard]] std::vector<std::string> declared_names();
/// Prints what the name takes, for each kind that has it, with an empty line between and, where `is_continued`, before
/// them; false where none has it.
bool describe_declared(const std::string& name, bool is_continued);
/// Of a component or a task.
void print_option(const OptionSpec& option);

}  // namespace attnlab::cli

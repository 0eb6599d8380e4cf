// `attnlab list` and `attnlab describe` for what no plugin declares: workloads, from the tables that the readers of
// experiments hold YAML against.
#pragma once

#include <string>
#include <vector>

namespace attnlab::cli {

/// "workload": what `list` takes beside the kinds of plugins.
[[nodiscard]] const std::vector<std::string>& declared_kinds();
/// The names of one of them with a sentence each.
void list_declared(const std::string& kind);
/// Names of all of them.
[[nodiscard]] std::vector<std::string> declared_names();
/// Prints what the name takes; false where no workload has it.
bool describe_declared(const std::string& name);

}  // namespace attnlab::cli

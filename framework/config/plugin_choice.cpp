#include "config/plugin_choice.h"

#include <fmt/format.h>

#include "config/scalars.h"

namespace attnlab::config {
namespace {

constexpr std::string_view kForms = "write NAME or {NAME: {OPTION: VALUE}}";

}  // namespace

std::optional<PluginChoice> read_choice(const Node& node, std::string_view kind, ProblemList& problems) {
  if (node.is_scalar() && !node.text().empty()) return PluginChoice{node.text(), Node::null(node.mark()), node.mark()};
  if (!node.is_map() || node.entries().empty()) {
    const std::string got = node.is_map() ? "an empty map" : node.is_scalar() ? "an empty text" : describe(node);
    problems.add(node.mark(), fmt::format("{}: expected a name, got {}", kind, got), std::string(kForms));
    return std::nullopt;
  }
  if (node.entries().size() > 1) {
    const Node::Entry& second = node.entries()[1];
    problems.add(second.key_mark,
                 fmt::format("{}: {} stands beside {}, expected one name", kind, in_quotes(second.key),
                             in_quotes(node.entries().front().key)),
                 std::string(kForms));
    return std::nullopt;
  }
  const Node::Entry& entry = node.entries().front();
  if (!entry.value.is_map() && !entry.value.is_null()) {
    problems.add(entry.value.mark(),
                 fmt::format("options of {}: expected a map, got {}", in_quotes(entry.key), describe(entry.value)),
                 std::string(kForms));
    return std::nullopt;
  }
  return PluginChoice{entry.key, entry.value, entry.key_mark};
}

}  // namespace attnlab::config

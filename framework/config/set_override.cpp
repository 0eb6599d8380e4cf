#include "config/set_override.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/problem_list.h"
#include "config/scalars.h"

namespace attnlab::config {
namespace {

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> keys;
  while (true) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    keys.emplace_back(path.substr(0, dot));
    if (dot == path.size()) return keys;
    path.remove_prefix(dot + 1);
  }
}

Node replaced(const Node& node, std::span<const std::string> path, std::string_view parent, const Node& value,
              const Mark& mark);

Node replaced_item(const Node& list, std::span<const std::string> path, std::string_view name, const Node& value,
                   const Mark& mark) {
  const std::string& text = path.front();
  std::size_t index = list.items().size();
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), index);
  const bool is_index = failure == std::errc() && end == text.data() + text.size();
  if (!is_index || index >= list.items().size()) {
    throw Error(mark.text(), fmt::format("{} is a list, and {} is no index of it", name, in_quotes(text)),
                list.items().empty() ? "it is empty" : fmt::format("write 0..{}", list.items().size() - 1));
  }
  std::vector<Node> items = list.items();
  items[index] = replaced(items[index], path.subspan(1), text, value, mark);
  return Node::sequence(list.mark(), std::move(items));
}

Node replaced(const Node& node, std::span<const std::string> path, std::string_view parent, const Node& value,
              const Mark& mark) {
  if (path.empty()) return value;
  const std::string name = parent.empty() ? std::string("the file") : in_quotes(parent);
  if (node.is_sequence()) return replaced_item(node, path, name, value, mark);
  if (node.is_scalar())
    throw Error(mark.text(), fmt::format("{} is {} and has no key {}", name, describe(node), in_quotes(path.front())));
  std::vector<Node::Entry> entries = node.entries();
  auto entry = std::ranges::find(entries, path.front(), &Node::Entry::key);
  if (entry == entries.end()) entry = entries.insert(entry, {path.front(), mark, Node::null(mark)});
  entry->value = replaced(entry->value, path.subspan(1), path.front(), value, mark);
  return Node::map(node.is_null() ? mark : node.mark(), std::move(entries));
}

}  // namespace

Node with_override(const Node& root, std::string_view text) {
  const std::string place = fmt::format("--set {}", text);
  const Mark mark{place, 0, 0};
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) throw Error(place, "is no override", "write KEY.KEY=VALUE");
  const std::vector<std::string> path = split_path(text.substr(0, equals));
  if (std::ranges::find(path, "") != path.end()) throw Error(place, "an empty key", "write KEY.KEY=VALUE");
  if (path.size() > kMaxDepth) throw Error(place, fmt::format("more than {} keys", kMaxDepth));
  return replaced(root, path, "", parse_argument(text.substr(equals + 1), place), mark);
}

}  // namespace attnlab::config

#include "config/map_reader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/scalars.h"

namespace attnlab::config {

MapReader::MapReader(const Node& node, std::string section, ProblemList& problems)
    : node_(node), section_(std::move(section)), problems_(problems) {
  if (!node.is_map() && !node.is_null())
    problems.add(node.mark(), fmt::format("{}: expected a map, got {}", section_, describe(node)));
}

const Node* MapReader::take(std::string_view key) {
  known_.emplace_back(key);
  return node_.find(key);
}

const Node* MapReader::require(std::string_view key) {
  const Node* value = take(key);
  if (value == nullptr && (node_.is_map() || node_.is_null()))
    missing_.emplace_back(key);
  return value;
}

bool MapReader::misspells(std::string_view key) const {
  return std::ranges::any_of(node_.entries(), [&](const Node::Entry& entry) {
    return std::ranges::find(known_, entry.key) == known_.end() && nearest_name(entry.key, known_) == key;
  });
}

void MapReader::finish() {
  for (const std::string& key : missing_)
    if (!misspells(key))
      problems_.add(node_.mark(), fmt::format("the key \"{}\" of {} is missing", key, section_));
  for (const Node::Entry& entry : node_.entries()) {
    if (std::ranges::find(known_, entry.key) != known_.end()) continue;
    problems_.add(entry.key_mark, fmt::format("unknown key {} of {}", in_quotes(entry.key), section_),
                  key_remedy(entry.key, known_, "keys"));
  }
}

}  // namespace attnlab::config

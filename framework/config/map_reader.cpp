#include "config/map_reader.h"

#include <algorithm>
#include <utility>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/quantities.h"
#include "config/scalars.h"

namespace attnlab::config {
namespace {

std::int64_t integer_bound(double bound) {
  if (bound <= -0x1p63) return -kMaxInteger - 1;
  return bound >= 0x1p63 ? kMaxInteger : static_cast<std::int64_t>(bound);
}

}  // namespace

MapReader::MapReader(const Node& node, std::string section, const KeyTable& keys, ProblemList& problems)
    : node_(node), section_(std::move(section)), keys_(keys), problems_(problems) {
  for (const Key& key : keys_) {
    names_.emplace_back(key.name);
    if (key.required) required_.push_back(key.name);
  }
  if (!node.is_map() && !node.is_null())
    problems.add(node.mark(), fmt::format("{}: expected a map, got {}", section_, describe(node)));
}

const Node* MapReader::find(std::string_view key) const {
  ATTNLAB_CHECK(find_key(keys_, key) != nullptr, "a key is read that is not declared");
  return node_.find(key);
}

const Node* MapReader::require(std::string_view key) {
  required_.push_back(key);
  return find(key);
}

const Key& MapReader::declared(std::string_view key, KeyType type) const {
  const Key* found = find_key(keys_, key);
  ATTNLAB_CHECK(found != nullptr && found->type == type, "a key is read as something else than it is declared");
  return *found;
}

std::optional<std::int64_t> MapReader::integer(std::string_view key) {
  const Key& of = declared(key, KeyType::integer);
  const Node* value = node_.find(key);
  if (value == nullptr) return std::nullopt;
  return as_integer(*value, key, problems_, integer_bound(of.min), integer_bound(of.max));
}

std::optional<int> MapReader::count(std::string_view key) {
  const auto value = integer(key);
  if (!value) return std::nullopt;
  ATTNLAB_CHECK(static_cast<int>(*value) == *value, "the bounds of a count are those of an int");
  return static_cast<int>(*value);
}

std::optional<std::vector<std::int64_t>> MapReader::integers(std::string_view key) {
  const Key& of = declared(key, KeyType::integers);
  const Node* value = node_.find(key);
  if (value == nullptr) return std::nullopt;
  return as_integers(*value, key, problems_, integer_bound(of.min), integer_bound(of.max));
}

std::optional<double> MapReader::real(std::string_view key) {
  const Key& of = declared(key, KeyType::real);
  const Node* value = node_.find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = as_real(*value, key, problems_, of.min, of.max);
  if (number && of.nonzero && *number == of.min) {
    problems_.add(value->mark(), fmt::format("{}: {} is not more than {}", key, *number, of.min));
    return std::nullopt;
  }
  return number;
}

std::optional<bool> MapReader::boolean(std::string_view key) {
  (void)declared(key, KeyType::boolean);
  const Node* value = node_.find(key);
  return value == nullptr ? std::nullopt : as_bool(*value, key, problems_);
}

std::optional<std::string> MapReader::text(std::string_view key) {
  (void)declared(key, KeyType::text);
  const Node* value = node_.find(key);
  return value == nullptr ? std::nullopt : as_text(*value, key, problems_);
}

std::optional<std::vector<std::string>> MapReader::texts(std::string_view key) {
  (void)declared(key, KeyType::texts);
  const Node* value = node_.find(key);
  return value == nullptr ? std::nullopt : as_texts(*value, key, problems_);
}

std::optional<std::string> MapReader::choice(std::string_view key) {
  const Key& of = declared(key, KeyType::choice);
  const Node* value = node_.find(key);
  return value == nullptr ? std::nullopt : as_choice(*value, key, of.choices, problems_);
}

std::optional<std::uint64_t> MapReader::bytes(std::string_view key) {
  (void)declared(key, KeyType::bytes);
  const Node* value = node_.find(key);
  return value == nullptr ? std::nullopt : as_bytes(*value, key, problems_);
}

std::optional<double> MapReader::share(std::string_view key) {
  (void)declared(key, KeyType::share);
  const Node* value = node_.find(key);
  return value == nullptr ? std::nullopt : as_share(*value, key, problems_);
}

bool MapReader::misspells(std::string_view key) const {
  return std::ranges::any_of(node_.entries(), [&](const Node::Entry& entry) {
    return find_key(keys_, entry.key) == nullptr && !is_free_key(entry.key) && nearest_name(entry.key, names_) == key;
  });
}

void MapReader::finish() {
  if (node_.is_map() || node_.is_null())
    for (const std::string_view key : required_)
      if (node_.find(key) == nullptr && !misspells(key))
        problems_.add(node_.mark(), fmt::format("the key \"{}\" of {} is missing", key, section_));
  for (const Node::Entry& entry : node_.entries()) {
    if (find_key(keys_, entry.key) != nullptr || is_free_key(entry.key)) continue;
    problems_.add(entry.key_mark, fmt::format("unknown key {} of {}", in_quotes(entry.key), section_),
                  key_remedy(entry.key, names_, "keys"));
  }
}

}  // namespace attnlab::config

// What a map of an experiment may hold, declared once: the reader takes its bounds from here and refuses what is not
// here, and the JSON Schema is made of the same tables. Options of plugins are declared by the plugins (OptionSpec).
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace attnlab::config {

enum class KeyType : std::uint8_t {
  boolean,
  integer,
  integers,  // one, or a list; ranges are written out
  real,
  text,
  texts,  // a list
  choice,
  bytes,  // 8GiB
  share,  // 2%
  path,
  paths,  // one, or a list
  form,   // read by code of its own; `form` names its definition in the JSON Schema
};

struct Key {
  std::string_view name;
  KeyType type = KeyType::text;
  std::string_view doc;
  bool required = false;
  double min = -std::numeric_limits<double>::infinity();  // of integers and reals
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};
  std::string_view form = {};
  bool nonzero = false;           // of reals: the bound itself is outside
  std::string_view written = {};  // of a form, for people: "batch or a list"; empty: the form's name
};

using KeyTable = std::vector<Key>;

/// x-...: allowed in every map that a table describes, and ignored. A place for what aliases name.
[[nodiscard]] inline bool is_free_key(std::string_view name) noexcept {
  return name.starts_with("x-");
}
/// The same names, as a regular expression for the JSON Schema.
inline constexpr const char* kFreeKeyPattern = "^x-";

/// Null pointer where the table has no such key.
[[nodiscard]] inline const Key* find_key(const KeyTable& table, std::string_view name) noexcept {
  for (const Key& key : table)
    if (key.name == name) return &key;
  return nullptr;
}

}  // namespace attnlab::config

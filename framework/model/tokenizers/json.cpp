// See the header.
#include "model/tokenizers/json.h"

#include <algorithm>

#include "model/checkpoints/strict_json.h"

namespace attnlab::model::tokenizer_parts {

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

JsonNode JsonNode::at(const std::string& key) const {
  if (!value_.is(JsonKind::object)) refuse("must be an object");
  const auto found = value_.find(key);
  if (!found) refuse("has no " + in_quotes(key));
  return JsonNode(*found, file_, path_.empty() ? key : path_ + "." + key);
}

std::optional<JsonNode> JsonNode::find(const std::string& key) const {
  if (!value_.is(JsonKind::object)) refuse("must be an object");
  const auto found = value_.find(key);
  if (!found || found->is(JsonKind::null)) return std::nullopt;
  return at(key);
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_.is(JsonKind::list)) refuse("must be a list");
  std::vector<JsonNode> items;
  for (const JsonValue value : value_.values()) {
    items.push_back(JsonNode(value, file_, path_ + "[" + std::to_string(items.size()) + "]"));
  }
  return items;
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::entries() const {
  if (!value_.is(JsonKind::object)) refuse("must be an object");
  std::vector<std::pair<std::string, JsonNode>> entries;
  for (const JsonValue::Entry entry : value_.entries()) {
    const std::string key(entry.key);
    entries.emplace_back(key, JsonNode(entry.value(), file_, path_.empty() ? key : path_ + "." + key));
  }
  return entries;
}

std::string JsonNode::string() const {
  if (!value_.is(JsonKind::string)) refuse("must be a string");
  return std::string(value_.text());
}

bool JsonNode::boolean() const {
  if (!value_.is(JsonKind::boolean)) refuse("must be true or false");
  return value_.boolean();
}

std::int64_t JsonNode::integer() const {
  if (value_.is(JsonKind::large_integer)) refuse("is too large");
  if (!value_.is(JsonKind::integer)) refuse("must be an integer");
  return value_.integer();
}

bool JsonNode::boolean_or(const std::string& key, bool fallback) const {
  const auto field = find(key);
  return field ? field->boolean() : fallback;
}

void JsonNode::has_only(const std::vector<std::string>& keys) const {
  if (!value_.is(JsonKind::object)) refuse("must be an object");
  for (const JsonValue::Entry entry : value_.entries()) {
    if (entry.value().is(JsonKind::null) || std::ranges::find(keys, entry.key) != keys.end()) continue;
    refuse("has the key " + in_quotes(entry.key) + ", which is not supported", "supported: " + list_of(keys));
  }
}

std::string JsonNode::message(const std::string& what) const {
  return path_.empty() ? what : path_ + " " + what;
}

void JsonNode::refuse(const std::string& what, const std::string& remedy) const {
  throw Error(file_, message(what), remedy);
}

void JsonNode::refuse_kind(const std::string& kind, const std::vector<std::string>& supported) const {
  throw UnsupportedKind(file_, message("is of kind " + in_quotes(kind) + ", which is not supported"),
                        "supported: " + list_of(supported));
}

}  // namespace attnlab::model::tokenizer_parts

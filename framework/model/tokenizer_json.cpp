// See the header.
#include "model/tokenizer_json.h"

#include <algorithm>

#include "model/strict_json.h"

namespace attnlab::model::tokenizer_parts {

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

JsonNode JsonNode::at(const std::string& key) const {
  if (!value_->is_object()) refuse("must be an object");
  const auto found = value_->find(key);
  if (found == value_->end()) refuse("has no " + in_quotes(key));
  return JsonNode(*found, file_, path_.empty() ? key : path_ + "." + key);
}

std::optional<JsonNode> JsonNode::find(const std::string& key) const {
  if (!value_->is_object()) refuse("must be an object");
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return at(key);
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array()) refuse("must be a list");
  std::vector<JsonNode> items;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    items.push_back(JsonNode((*value_)[i], file_, path_ + "[" + std::to_string(i) + "]"));
  }
  return items;
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::entries() const {
  if (!value_->is_object()) refuse("must be an object");
  std::vector<std::pair<std::string, JsonNode>> entries;
  for (const auto& [key, value] : value_->items()) entries.emplace_back(key, at(key));
  return entries;
}

std::string JsonNode::string() const {
  if (!value_->is_string()) refuse("must be a string");
  return value_->get<std::string>();
}

bool JsonNode::boolean() const {
  if (!value_->is_boolean()) refuse("must be true or false");
  return value_->get<bool>();
}

std::int64_t JsonNode::integer() const {
  if (!value_->is_number_integer()) refuse("must be an integer");
  // Unsigned values above the signed range would turn negative: they are as wrong as any id that large.
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > INT64_MAX) refuse("is too large");
  return value_->get<std::int64_t>();
}

bool JsonNode::boolean_or(const std::string& key, bool fallback) const {
  const auto field = find(key);
  return field ? field->boolean() : fallback;
}

void JsonNode::has_only(const std::vector<std::string>& keys) const {
  if (!value_->is_object()) refuse("must be an object");
  for (const auto& [key, value] : value_->items()) {
    if (value.is_null() || std::ranges::find(keys, key) != keys.end()) continue;
    refuse("has the key " + in_quotes(key) + ", which is not supported", "supported: " + list_of(keys));
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

#include "config/json_schema.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "config/option_reader.h"
#include "config/quantities.h"
#include "config/scalars.h"

namespace attnlab::config {
namespace {

using Json = nlohmann::ordered_json;

// Integers as integers, since 2147483647.0 reads badly.
Json number(double value) {
  if (value == std::floor(value) && std::abs(value) < 0x1p53) return static_cast<std::int64_t>(value);
  return value;
}

Json bounded(const char* type, double min, double max, bool excludes_min = false) {
  Json schema{{"type", type}};
  constexpr double kLimit = 0x1p63;
  if (std::isfinite(min) && min > -kLimit) schema[excludes_min ? "exclusiveMinimum" : "minimum"] = number(min);
  if (std::isfinite(max) && max < kLimit) schema["maximum"] = number(max);
  return schema;
}

Json any_of(std::initializer_list<Json> forms) {
  Json schema;
  schema["anyOf"] = Json::array();
  for (const Json& form : forms) schema["anyOf"].push_back(form);
  return schema;
}

Json pattern(std::string_view expression) {
  return {{"type", "string"}, {"pattern", expression}};
}

// A choice that is spelled like a number is one in YAML.
Json choices(const std::vector<std::string>& names) {
  Json schema{{"enum", Json::array()}};
  for (const std::string& name : names) {
    schema["enum"].push_back(to_json(Node::scalar({}, name, false)));
    if (!schema["enum"].back().is_string()) schema["enum"].push_back(name);
  }
  return schema;
}

Json list_of(const Json& item, int least) {
  Json schema{{"type", "array"}, {"items", item}};
  if (least > 0) schema["minItems"] = least;
  return schema;
}

Json or_range(const Json& schema, const SchemaStyle& style) {
  return style.takes_ranges ? any_of({schema, schema_reference("range")}) : schema;
}

// In a grid a list of values makes an arm of each.
Json or_list(const Json& schema, const SchemaStyle& style) {
  return style.takes_lists ? any_of({schema, list_of(schema, 1)}) : schema;
}

Json described(Json schema, std::string_view doc) {
  if (doc.empty()) return schema;
  Json whole;
  whole["description"] = doc;
  // Draft-07 ignores everything beside a $ref.
  if (schema.contains("$ref"))
    whole["allOf"] = Json::array({std::move(schema)});
  else
    whole.update(schema);
  return whole;
}

Json bare(const Key& key, const SchemaStyle& style) {
  const Json path{{"type", "string"}, {"minLength", 1}};
  switch (key.type) {
    case KeyType::boolean:
      return {{"type", "boolean"}};
    case KeyType::integer:
      return or_range(bounded("integer", key.min, key.max), style);
    case KeyType::integers: {
      const Json one = any_of({bounded("integer", key.min, key.max), schema_reference("range")});
      return any_of({one, list_of(one, 1)});
    }
    case KeyType::real:
      return or_range(bounded("number", key.min, key.max, key.nonzero), style);
    case KeyType::text:
      return {{"type", "string"}};
    case KeyType::texts:
      return list_of({{"type", "string"}}, 0);
    case KeyType::choice:
      return choices(key.choices);
    case KeyType::bytes:
      return any_of({{{"type", "integer"}, {"minimum", 1}}, pattern(kBytesPattern)});
    case KeyType::share:
      return any_of({{{"type", "number"}, {"exclusiveMinimum", 0}, {"exclusiveMaximum", 1}}, pattern(kSharePattern)});
    case KeyType::path:
      return path;
    case KeyType::paths:
      return any_of({path, list_of(path, 0)});
    case KeyType::form:
      return schema_reference(style.reference(key.form));
  }
  return {};
}

Json bare(const OptionSpec& option, const SchemaStyle& style) {
  switch (option.type) {
    case OptionType::boolean:
      return {{"type", "boolean"}};
    case OptionType::integer:
      return or_range(bounded("integer", option.min, option.max), style);
    case OptionType::real:
      return or_range(bounded("number", option.min, option.max), style);
    case OptionType::text:
      return {{"type", "string"}};
    case OptionType::choice:
      return choices(option.choices);
    case OptionType::integers:
      return list_of(or_range(bounded("integer", option.min, option.max), style), 0);
    case OptionType::reals:
      return list_of(or_range(bounded("number", option.min, option.max), style), 0);
    case OptionType::budget:
      return or_range(any_of({bounded("integer", std::max(option.min, 0.0), 1 << 30),
                              {{"type", "number"}, {"exclusiveMinimum", 0}, {"exclusiveMaximum", 1}},
                              pattern(kBudgetPattern)}),
                      style);
  }
  return {};
}

std::string meaning(const OptionSpec& option) {
  std::string text = option.doc;
  if (!option.unit.empty()) text += (text.empty() ? "In " : " In ") + option.unit + ".";
  const std::string value = option_text(option.default_value);
  if (!option.from_model.empty())
    text += " Default: the model's " + option.from_model + (value.empty() ? "." : ", else " + value + ".");
  return text;
}

Json schema_of(const OptionSpec& option, const SchemaStyle& style) {
  Json schema = described(or_list(bare(option, style), style), meaning(option));
  if (option.from_model.empty())
    std::visit(
        [&](const auto& value) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) schema["default"] = value;
        },
        option.default_value);
  return schema;
}

Json closed() {
  return {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
}

// Where lists are taken, `zip:` moves several of the options together.
Json options_map(const SchemaStyle& style) {
  Json schema = closed();
  if (style.takes_lists) schema["properties"]["zip"] = schema_reference("zip");
  return schema;
}

}  // namespace

std::string SchemaStyle::reference(std::string_view form) const {
  // Only what holds options is there in two forms.
  const bool has_numbers =
      form == "attention" || form == "position" || form == "cache" || form == "storage" || form == "storage_of_side";
  return std::string(form) + (takes_ranges && has_numbers ? "_or_range" : "");
}

Json schema_reference(const std::string& definition) {
  return {{"$ref", "#/definitions/" + definition}};
}

Json schema_of(const Key& key, const SchemaStyle& style) {
  return described(or_list(bare(key, style), style), key.doc);
}

Json schema_of(const KeyTable& keys, const SchemaStyle& style) {
  Json schema = closed();
  schema["patternProperties"][kFreeKeyPattern] = Json::object();
  for (const Key& key : keys) {
    schema["properties"][std::string(key.name)] = schema_of(key, style);
    if (key.required) schema["required"].push_back(key.name);
  }
  return schema;
}

Json schema_of(const OptionSchema& options, const KeyTable& common, const SchemaStyle& style) {
  Json schema = options_map(style);
  schema["type"] = {"object", "null"};
  for (const OptionSpec& option : options) {
    // protect.first stands in a map of its own.
    Json* map = &schema;
    std::string name = option.name;
    for (std::size_t dot; (dot = name.find('.')) != std::string::npos; name.erase(0, dot + 1)) {
      Json& inner = (*map)["properties"][name.substr(0, dot)];
      if (inner.is_null()) inner = options_map(style);
      map = &inner;
    }
    (*map)["properties"][name] = schema_of(option, style);
  }
  for (const Key& key : common) schema["properties"][std::string(key.name)] = schema_of(key, style);
  return schema;
}

nlohmann::ordered_json any_of(std::vector<nlohmann::ordered_json> forms) {
  return {{"anyOf", std::move(forms)}};
}

nlohmann::ordered_json list_of(nlohmann::ordered_json item) {
  return {{"type", "array"}, {"items", std::move(item)}, {"minItems", 1}};
}

nlohmann::ordered_json one_or_list(const nlohmann::ordered_json& item) {
  return any_of({item, list_of(item)});
}

}  // namespace attnlab::config

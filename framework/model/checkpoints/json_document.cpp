// See the header. simdjson reads what is well formed; whatever it does not take (and keys that occur twice) goes to the
// strict reader, which has the words for what is wrong and reads what is beyond 64 bits.
#include "model/checkpoints/json_document.h"

#include <functional>

#include <simdjson.h>
#include <nlohmann/json.hpp>

#include "model/checkpoints/flat_index.h"
#include "model/checkpoints/strict_json.h"

namespace attnlab::model {

struct JsonDocument::Texts {
  simdjson::dom::parser parser;
  nlohmann::json tree;  // null unless the strict reader was asked
};

namespace {

constexpr std::size_t kMaxDepth = 60;    // fewer than the strict reader takes: it decides about more
constexpr std::size_t kFewEntries = 16;  // keys that are compared with each other

JsonRecord string_record(std::string_view text) {
  return {.kind = JsonKind::string, .size = static_cast<std::uint32_t>(text.size()), .text = text.data()};
}

// Adds a list or an object with all that `add_content` adds; it returns how many values or entries that were.
template <class AddContent>
void add_holder(JsonKind kind, std::vector<JsonRecord>& records, const AddContent& add_content) {
  const std::size_t at = records.size();
  records.push_back({.kind = kind});
  const std::size_t size = add_content();
  records[at].size = static_cast<std::uint32_t>(size);
  records[at].records = records.size() - at;
}

void add(const simdjson::dom::element& element, std::vector<JsonRecord>& records) {
  using Type = simdjson::dom::element_type;
  switch (element.type()) {
    case Type::NULL_VALUE:
      records.push_back({});
      break;
    case Type::BOOL:
      records.push_back({.kind = JsonKind::boolean, .bits = element.get_bool().value_unsafe()});
      break;
    case Type::INT64:
      records.push_back({.kind = JsonKind::integer, .integer = element.get_int64().value_unsafe()});
      break;
    case Type::UINT64:
      records.push_back({.kind = JsonKind::large_integer, .bits = element.get_uint64().value_unsafe()});
      break;
    case Type::DOUBLE:
      records.push_back({.kind = JsonKind::real, .real = element.get_double().value_unsafe()});
      break;
    case Type::STRING:
      records.push_back(string_record(element.get_string().value_unsafe()));
      break;
    case Type::ARRAY:
      add_holder(JsonKind::list, records, [&] {
        std::size_t size = 0;
        const simdjson::dom::array values = element.get_array().value_unsafe();
        for (const simdjson::dom::element value : values) {
          add(value, records);
          ++size;
        }
        return size;
      });
      break;
    case Type::OBJECT:
      add_holder(JsonKind::object, records, [&] {
        std::size_t size = 0;
        const simdjson::dom::object entries = element.get_object().value_unsafe();
        for (const auto& [key, value] : entries) {
          records.push_back(string_record(key));
          add(value, records);
          ++size;
        }
        return size;
      });
      break;
  }
}

void add(const nlohmann::json& tree, std::vector<JsonRecord>& records) {
  using Type = nlohmann::json::value_t;
  switch (tree.type()) {
    case Type::boolean:
      records.push_back({.kind = JsonKind::boolean, .bits = tree.get<bool>()});
      break;
    case Type::number_integer:
      records.push_back({.kind = JsonKind::integer, .integer = tree.get<std::int64_t>()});
      break;
    case Type::number_unsigned:
      if (tree.get<std::uint64_t>() <= INT64_MAX) {
        records.push_back({.kind = JsonKind::integer, .integer = tree.get<std::int64_t>()});
      } else {
        records.push_back({.kind = JsonKind::large_integer, .bits = tree.get<std::uint64_t>()});
      }
      break;
    case Type::number_float:
      records.push_back({.kind = JsonKind::real, .real = tree.get<double>()});
      break;
    case Type::string:
      records.push_back(string_record(tree.get_ref<const std::string&>()));
      break;
    case Type::array:
      add_holder(JsonKind::list, records, [&] {
        for (const nlohmann::json& value : tree) add(value, records);
        return tree.size();
      });
      break;
    case Type::object:
      add_holder(JsonKind::object, records, [&] {
        for (const auto& [key, value] : tree.get_ref<const nlohmann::json::object_t&>()) {
          records.push_back(string_record(key));
          add(value, records);
        }
        return tree.size();
      });
      break;
    default:
      records.push_back({});
      break;
  }
}

bool has_twins(JsonValue object) {
  if (object.size() <= kFewEntries) {
    std::vector<std::string_view> keys;
    for (const auto& [key, record] : object.entries()) {
      for (const std::string_view other : keys)
        if (other == key) return true;
      keys.push_back(key);
    }
    return false;
  }
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  FlatIndex index(object.size());
  for (const auto& [key, record] : object.entries()) {
    std::uint32_t& number = index.number(std::hash<std::string_view>()(key), [&, name = key](std::uint32_t other) {
      return keys[other] == name;
    });  // as clang 14 needs it
    if (number != FlatIndex::kNone) return true;
    number = static_cast<std::uint32_t>(keys.size());
    keys.push_back(key);
  }
  return false;
}

bool has_twins(const std::vector<JsonRecord>& records) {
  for (const JsonRecord& record : records)
    if (record.kind == JsonKind::object && has_twins(JsonValue(&record))) return true;
  return false;
}

}  // namespace

JsonDocument::JsonDocument(std::string text, const std::string& where) : texts_(std::make_unique<Texts>()) {
  const std::size_t bytes = text.size();
  text.append(simdjson::SIMDJSON_PADDING, '\0');
  simdjson::dom::element root;
  const bool is_read = bytes > 0 && texts_->parser.allocate(bytes, kMaxDepth) == simdjson::SUCCESS &&
                       texts_->parser.parse(text.data(), bytes, false).get(root) == simdjson::SUCCESS;
  if (is_read) add(root, records_);
  if (is_read && !has_twins(records_)) return;
  text.resize(bytes);
  texts_->tree = parse_strict_json(text, where);
  records_.clear();
  add(texts_->tree, records_);
}

JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

JsonDocument JsonDocument::read(const std::filesystem::path& path, std::size_t max_bytes) {
  return JsonDocument(read_whole_file(path, max_bytes), path.string());
}

std::optional<JsonValue> JsonValue::find(std::string_view key) const {
  for (const Entry entry : entries())
    if (entry.key == key) return entry.value();
  return std::nullopt;
}

std::string shown(JsonValue value) {
  switch (value.kind()) {
    case JsonKind::null:
      return "null";
    case JsonKind::boolean:
      return value.boolean() ? "true" : "false";
    case JsonKind::integer:
      return std::to_string(value.integer());
    case JsonKind::large_integer:
      return std::to_string(value.large_integer());
    case JsonKind::real:
      return nlohmann::json(value.real()).dump();
    case JsonKind::string:
      return in_quotes(value.text());
    case JsonKind::list:
      return "a list";
    case JsonKind::object:
      return "an object";
  }
  return {};
}

}  // namespace attnlab::model

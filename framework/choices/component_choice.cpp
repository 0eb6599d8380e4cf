#include "choices/component_choice.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "choices/component_keys.h"
#include "config/map_reader.h"
#include "config/option_reader.h"
#include "config/scalars.h"

namespace attnlab::experiment {
namespace {

using config::Node;
using config::ProblemList;

// In the order of the enumerators.
const std::vector<std::string>& stored_keys() {
  return config::find_key(common_cache_keys(), "keys")->choices;
}

// A choice that is spelled like a number is one.
nlohmann::ordered_json option_json(const OptionSpec& option, const OptionValue& value) {
  return std::visit(
      [&]<class Value>(const Value& held) -> nlohmann::ordered_json {
        if constexpr (std::is_same_v<Value, std::monostate>)
          return nullptr;
        else if constexpr (std::is_same_v<Value, std::string>)
          return option.type == OptionType::choice ? config::to_json(Node::scalar({}, held, false))
                                                   : nlohmann::ordered_json(held);
        else
          return held;
      },
      value);
}

// Rules across options name an option; its place is where it was written, or else where the component was.
void check_rules(const Descriptor& component, const OptionValues& values, const Node& written,
                 const config::Mark& where, const ComponentLookup& lookup, ProblemList& problems) {
  Problems rules;
  lookup.check(component, values, rules);
  for (const auto& [option, what] : rules.entries()) {
    const Node* found = written.find(option);
    problems.add(found != nullptr ? found->mark() : where, fmt::format("{}: {}", option, what));
  }
}

// NAME or {NAME: {OPTION: VALUE}}; none where a problem was added.
std::optional<StoragePart> read_storage_part(const Node& node, const ComponentLookup& lookup, ProblemList& problems) {
  const auto named = config::read_choice(node, kind_name(Kind::storage), problems);
  if (!named) return std::nullopt;
  try {
    const Descriptor& storage = lookup.get(Kind::storage, named->id, named->where.text());
    const std::size_t before = problems.size();
    OptionValues options = config::read_options(named->options, storage.options, named->id, problems);
    if (problems.size() > before) return std::nullopt;
    StoragePart part = part_of(storage, std::move(options));
    check_rules(storage, part.options, named->options, named->where, lookup, problems);
    return part;
  } catch (const Error& error) {
    problems.add(named->where, error);
    return std::nullopt;
  }
}

// NAME, {NAME: {...}}, {k: NAME, v: NAME}, and each of the maps with page: N, which may also stand alone.
StorageChoice read_storage(const Node& node, const ComponentLookup& lookup, ProblemList& problems) {
  StorageChoice storage;
  const auto read = [&](const Node& from, std::initializer_list<StoragePart*> to) {
    if (const auto part = read_storage_part(from, lookup, problems))
      for (StoragePart* side : to) *side = *part;
  };
  if (node.find("k") == nullptr && node.find("v") == nullptr && node.find("page") == nullptr) {
    read(node, {&storage.keys, &storage.values});
    return storage;
  }
  config::MapReader reader(node, "storage", storage_keys(), problems);
  storage.page = reader.count("page").value_or(0);
  if (node.find("k") != nullptr || node.find("v") != nullptr) {
    if (const Node* keys = reader.find("k")) read(*keys, {&storage.keys});
    if (const Node* values = reader.find("v")) read(*values, {&storage.values});
    reader.finish();
    return storage;
  }
  std::vector<Node::Entry> others = node.entries();
  std::erase_if(others, [](const Node::Entry& entry) { return entry.key == "page"; });
  if (!others.empty()) read(Node::map(node.mark(), std::move(others)), {&storage.keys, &storage.values});
  return storage;
}

std::optional<StoredKeys> read_stored_keys(const Node& node, ProblemList& problems) {
  const auto name = config::as_choice(node, "keys", stored_keys(), problems);
  if (!name) return std::nullopt;
  return static_cast<StoredKeys>(std::ranges::find(stored_keys(), *name) - stored_keys().begin());
}

}  // namespace

StoragePart part_of(const Descriptor& storage, OptionValues given) {
  StoragePart part{.id = storage.id, .options = std::move(given), .text = storage.id, .json = storage.id};
  if (storage.options.empty()) return part;
  nlohmann::ordered_json options = nlohmann::ordered_json::object();
  for (const OptionSpec& option : storage.options) {
    if (option.from_model.empty()) part.options.try_emplace(option.name, option.default_value);
    const auto value = part.options.find(option.name);
    if (value == part.options.end()) continue;
    options[option.name] = option_json(option, value->second);
    // The first option is the storage's measure, the others are named where they are not as usual.
    const std::string shown = config::option_text(value->second);
    if (&option == &storage.options.front())
      part.text += ":" + shown;
    else if (value->second != option.default_value)
      part.text += "," + option.name + ":" + shown;
  }
  part.json = {{storage.id, std::move(options)}};
  return part;
}

std::string StorageChoice::text() const {
  const bool is_one = keys == values && (page == 0 || !keys.options.empty());
  const std::string sides = is_one ? keys.text : "k:" + keys.text + ",v:" + values.text;
  return page == 0 ? sides : fmt::format("{},page:{}", sides, page);
}

nlohmann::ordered_json storage_json(const StorageChoice& storage) {
  const auto& [keys, values, page] = storage;
  nlohmann::ordered_json json{{"k", keys.json}, {"v", values.json}};
  if (keys == values && page == 0) return keys.json;
  if (keys == values && keys.json.is_object()) json = keys.json;
  if (page > 0) json["page"] = page;
  return json;
}

StorageChoice default_choice(const Descriptor& storage) {
  const StoragePart part = part_of(storage, {});
  return {part, part, 0};
}

std::string_view stored_keys_name(StoredKeys keys) {
  return stored_keys()[static_cast<std::size_t>(keys)];
}

bool ComponentChoice::matches(const ComponentChoice& pattern) const {
  if (kind != pattern.kind || id != pattern.id) return false;
  if (pattern.storage && storage != pattern.storage) return false;
  if (pattern.keys && keys != pattern.keys) return false;
  return std::ranges::all_of(pattern.options, [&](const auto& option) {
    const auto own = options.find(option.first);
    return own != options.end() && own->second == option.second;
  });
}

std::optional<ComponentChoice> read_component(Kind kind, const Node& node, const ComponentLookup& lookup,
                                              ProblemList& problems) {
  const auto named = config::read_choice(node, kind_name(kind), problems);
  if (!named) return std::nullopt;
  ComponentChoice choice{.kind = kind, .id = named->id, .where = named->where, .written = named->id};
  const Descriptor* component = nullptr;
  try {
    component = &lookup.get(kind, named->id, named->where.text());
  } catch (const Error& error) {
    problems.add(named->where, error);
    return std::nullopt;
  }

  const std::size_t before = problems.size();
  std::vector<std::string> common;
  if (kind == Kind::cache) {
    for (const config::Key& key : common_cache_keys()) common.emplace_back(key.name);
    if (const Node* storage = named->options.find("storage")) choice.storage = read_storage(*storage, lookup, problems);
    if (const Node* keys = named->options.find("keys")) choice.keys = read_stored_keys(*keys, problems);
  }
  choice.options = config::read_options(named->options, component->options, named->id, problems, common);
  if (problems.size() > before) return choice;

  check_rules(*component, choice.options, named->options, choice.where, lookup, problems);
  if (!named->options.entries().empty())
    choice.written = nlohmann::ordered_json{{named->id, config::to_json(named->options)}};
  return choice;
}

}  // namespace attnlab::experiment

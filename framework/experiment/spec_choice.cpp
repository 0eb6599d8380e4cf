#include "experiment/spec_choice.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "config/map_reader.h"
#include "config/option_reader.h"
#include "config/scalars.h"

namespace attnlab::experiment {
namespace {

using config::Node;
using config::ProblemList;

const std::vector<std::string> kStorages = {"f32"};
const std::vector<std::string> kLaterStorages = {"bf16", "int8", "int4", "kivi"};
const std::vector<std::string> kStoredKeys = {"auto", "rotated", "unrotated"};

// An element type, as `storage:` and its k: and v: take it.
std::optional<std::string> read_element(const Node& node, ProblemList& problems) {
  const auto choice = config::read_choice(node, "storage", problems);
  if (!choice) return std::nullopt;
  if (std::ranges::find(kLaterStorages, choice->id) != kLaterStorages.end()) {
    problems.add(choice->where, fmt::format("the storage \"{}\" comes in a later version", choice->id),
                 fmt::format("known storages: {}", kStorages.front()));
    return std::nullopt;
  }
  if (std::ranges::find(kStorages, choice->id) == kStorages.end()) {
    problems.add(choice->where, fmt::format("unknown storage {}", config::in_quotes(choice->id)),
                 config::name_remedy(choice->id, kStorages, "storages"));
    return std::nullopt;
  }
  for (const Node::Entry& entry : choice->options.entries())
    problems.add(entry.key_mark,
                 fmt::format("unknown option {} of the storage \"{}\"", config::in_quotes(entry.key), choice->id),
                 "it takes no options");
  return choice->id;
}

std::optional<StorageChoice> read_storage(const Node& node, ProblemList& problems) {
  StorageChoice storage;
  const bool has_parts =
      node.is_map() && (node.find("k") != nullptr || node.find("v") != nullptr || node.find("page") != nullptr);
  if (!has_parts) {
    const auto element = read_element(node, problems);
    if (!element) return std::nullopt;
    storage.keys = storage.values = *element;
    return storage;
  }
  config::MapReader reader(node, "storage", problems);
  if (const Node* keys = reader.take("k")) storage.keys = read_element(*keys, problems).value_or(storage.keys);
  if (const Node* values = reader.take("v")) storage.values = read_element(*values, problems).value_or(storage.values);
  if (const Node* page = reader.take("page")) {
    if (const auto rows = config::as_integer(*page, "page", problems, 1, 65536)) {
      storage.page = static_cast<int>(*rows);
      problems.add(page->mark(), "paged storage comes in a later version", "leave page out");
    }
  }
  reader.finish();
  return storage;
}

std::optional<StoredKeys> read_stored_keys(const Node& node, ProblemList& problems) {
  const auto name = config::as_choice(node, "keys", kStoredKeys, problems);
  if (!name) return std::nullopt;
  return static_cast<StoredKeys>(std::ranges::find(kStoredKeys, *name) - kStoredKeys.begin());
}

// Rules across options name an option; its place is where it was written, or else where the component was.
void check_rules(const Descriptor& component, const ComponentChoice& choice, const Node& options,
                 const ComponentLookup& lookup, ProblemList& problems) {
  Problems rules;
  lookup.check(component, choice.options, rules);
  for (const auto& [option, what] : rules.entries()) {
    const Node* written = options.find(option);
    problems.add(written != nullptr ? written->mark() : choice.where, fmt::format("{}: {}", option, what));
  }
}

}  // namespace

std::string StorageChoice::text() const {
  if (keys == values && page == 0) return keys;
  return page == 0 ? fmt::format("k:{},v:{}", keys, values) : fmt::format("k:{},v:{},page:{}", keys, values, page);
}

std::string_view stored_keys_name(StoredKeys keys) {
  return kStoredKeys[static_cast<std::size_t>(keys)];
}

bool ComponentChoice::same_as(const ComponentChoice& other) const {
  return kind == other.kind && id == other.id && options == other.options && storage == other.storage &&
         keys == other.keys;
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
    common = {"storage", "keys"};
    if (const Node* storage = named->options.find("storage")) choice.storage = read_storage(*storage, problems);
    if (const Node* keys = named->options.find("keys")) choice.keys = read_stored_keys(*keys, problems);
  }
  choice.options = config::read_options(named->options, component->options, named->id, problems, common);
  if (problems.size() > before) return choice;

  check_rules(*component, choice, named->options, lookup, problems);
  if (!named->options.entries().empty())
    choice.written = nlohmann::ordered_json{{named->id, config::to_json(named->options)}};
  return choice;
}

}  // namespace attnlab::experiment

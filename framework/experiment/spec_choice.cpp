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
#include "experiment/spec_keys.h"

namespace attnlab::experiment {
namespace {

using config::Node;
using config::ProblemList;

// In the order of the enumerators.
const std::vector<std::string>& stored_keys() {
  return config::find_key(common_cache_keys(), "keys")->choices;
}

std::vector<std::string> storage_names() {
  std::vector<std::string> names = element_names();
  names.push_back("kivi");
  return names;
}

void refuse_options(const config::PluginChoice& storage, ProblemList& problems) {
  for (const Node::Entry& entry : storage.options.entries())
    problems.add(entry.key_mark,
                 fmt::format("unknown option {} of the storage \"{}\"", config::in_quotes(entry.key), storage.id),
                 "it takes no options");
}

void read_kivi(const Node& node, KiviFormat& kivi, ProblemList& problems) {
  config::MapReader reader(node, "kivi", kivi_keys(), problems);
  if (const auto bits = reader.choice("bits")) kivi.bits = std::stoi(*bits);
  kivi.group = reader.count("group").value_or(kivi.group);
  kivi.residual = reader.count("residual").value_or(kivi.residual);
  reader.finish();
}

// What is said of a name alone: an element type for keys and values, or kivi.
void read_both(const Node& node, StorageChoice& storage, ProblemList& problems) {
  const auto choice = config::read_choice(node, "storage", problems);
  if (!choice) return;
  if (const auto known = storage_names(); std::ranges::find(known, choice->id) == known.end()) {
    problems.add(choice->where, fmt::format("unknown storage {}", config::in_quotes(choice->id)),
                 config::name_remedy(choice->id, known, "storages"));
    return;
  }
  storage.keys = storage.values = choice->id;
  if (storage.is_kivi())
    read_kivi(choice->options, storage.kivi, problems);
  else
    refuse_options(*choice, problems);
}

// An element type, as k: and v: take it.
void read_element(const Node* node, std::string& element, ProblemList& problems) {
  if (node == nullptr) return;
  const auto choice = config::read_choice(*node, "storage", problems);
  if (!choice) return;
  if (choice->id == "kivi") {
    problems.add(choice->where, "the storage \"kivi\" holds keys and values together",
                 "write storage: {kivi: {bits: 2}}");
  } else if (std::ranges::find(element_names(), choice->id) == element_names().end()) {
    problems.add(choice->where, fmt::format("unknown storage {}", config::in_quotes(choice->id)),
                 config::name_remedy(choice->id, element_names(), "storages"));
  } else {
    element = choice->id;
    refuse_options(*choice, problems);
  }
}

// NAME, {NAME: {...}}, {k: NAME, v: NAME}, and each of the maps with page: N, which may also stand alone.
StorageChoice read_storage(const Node& node, ProblemList& problems) {
  StorageChoice storage;
  if (node.find("k") == nullptr && node.find("v") == nullptr && node.find("page") == nullptr) {
    read_both(node, storage, problems);
    return storage;
  }
  config::MapReader reader(node, "storage", storage_keys(), problems);
  storage.page = reader.count("page").value_or(0);
  if (node.find("k") != nullptr || node.find("v") != nullptr) {
    read_element(reader.find("k"), storage.keys, problems);
    read_element(reader.find("v"), storage.values, problems);
    reader.finish();
    return storage;
  }
  std::vector<Node::Entry> others = node.entries();
  std::erase_if(others, [](const Node::Entry& entry) { return entry.key == "page"; });
  if (!others.empty()) read_both(Node::map(node.mark(), std::move(others)), storage, problems);
  return storage;
}

std::optional<StoredKeys> read_stored_keys(const Node& node, ProblemList& problems) {
  const auto name = config::as_choice(node, "keys", stored_keys(), problems);
  if (!name) return std::nullopt;
  return static_cast<StoredKeys>(std::ranges::find(stored_keys(), *name) - stored_keys().begin());
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

nlohmann::ordered_json storage_json(const StorageChoice& storage) {
  nlohmann::ordered_json json;
  if (storage.is_kivi())
    json["kivi"] = {{"bits", storage.kivi.bits}, {"group", storage.kivi.group}, {"residual", storage.kivi.residual}};
  else if (storage.keys == storage.values && storage.page == 0)
    return storage.keys;
  else
    json = {{"k", storage.keys}, {"v", storage.values}};
  if (storage.page > 0) json["page"] = storage.page;
  return json;
}

std::string_view stored_keys_name(StoredKeys keys) {
  return stored_keys()[static_cast<std::size_t>(keys)];
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
    for (const config::Key& key : common_cache_keys()) common.emplace_back(key.name);
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

// One component as an experiment or an argument names it, with the options that were written, checked against what its
// plugin declares. Not here: options that come from the model or from defaults, and whether components fit together.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>
#include <attnlab/options.h>

#include "choices/plain_components.h"
#include "config/node.h"
#include "config/plugin_choice.h"
#include "config/problem_list.h"
#include "registry/registry.h"

namespace attnlab::experiment {

/// One storage with its options; those that were not written have their defaults, but for what the model gives.
struct StoragePart {
  std::string id = kPlainStorage;
  OptionValues options = {};
  std::string text = kPlainStorage;             // as a name shows it: `kivi:4,group:64`
  nlohmann::ordered_json json = kPlainStorage;  // "int8", {"kivi": {"bits": 4, "group": 32, "residual": 128}}
  bool operator==(const StoragePart& other) const { return id == other.id && options == other.options; }
};

/// A storage with these options and the defaults of the others. What comes from a model is left out where it is not
/// given.
[[nodiscard]] ATTNLAB_API StoragePart part_of(const Descriptor& storage, OptionValues given);

/// How rows are held. Every cache takes it: it stands among the cache's options and is no option of the plugin.
struct StorageChoice {
  StoragePart keys;
  StoragePart values;
  int page = 0;  // rows of a page; 0: not paged
  bool operator==(const StorageChoice&) const = default;
  /// As a name shows it: `f32`, `k:int8,v:int4,page:16`, `kivi:4,group:64`.
  [[nodiscard]] ATTNLAB_API std::string text() const;
};
/// "int8", or {"k": "int8", "v": "int4", "page": 16}, with everything that has a default.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json storage_json(const StorageChoice& storage);
/// A storage of both sides with the defaults of its options.
[[nodiscard]] ATTNLAB_API StorageChoice default_choice(const Descriptor& storage);

/// Whether a cache stores keys with their rotation; auto leaves it to the scheme and the policy.
enum class StoredKeys : std::uint8_t { auto_, rotated, unrotated };

/// "auto", "rotated", "unrotated".
[[nodiscard]] ATTNLAB_API std::string_view stored_keys_name(StoredKeys keys);

struct ComponentChoice {
  Kind kind = Kind::attention;
  std::string id;
  OptionValues options;                  // only those that were written
  std::optional<StorageChoice> storage;  // of a cache, where it was written
  std::optional<StoredKeys> keys;        // of a cache, where it was written
  config::Mark where;
  nlohmann::ordered_json written;  // "gqa", or {"gqa": {"kv_heads": 4}}

  /// Whether `pattern` is of the same id and every option that it names has the same value here.
  [[nodiscard]] ATTNLAB_API bool matches(const ComponentChoice& pattern) const;
};

/// The two questions that reading an experiment asks of the registry.
struct ComponentLookup {
  /// An id that is not known is an Error at `where`.
  std::function<const Descriptor&(Kind kind, std::string_view id, const std::string& where)> get;
  /// Rules across options.
  std::function<void(const Descriptor& component, const OptionValues& values, Problems& problems)> check;
};

/// The registry must outlive the lookup.
[[nodiscard]] inline ComponentLookup lookup_in(const Registry& registry) {
  return {[&registry](Kind kind, std::string_view id, const std::string& where) -> const Descriptor& {
            return registry.get(kind, id, where);
          },
          [&registry](const Descriptor& component, const OptionValues& values, Problems& problems) {
            registry.check(component, values, problems);
          }};
}

/// None where a problem was added that leaves no component to speak of.
[[nodiscard]] std::optional<ComponentChoice> read_component(Kind kind, const config::Node& node,
                                                            const ComponentLookup& lookup,
                                                            config::ProblemList& problems);

}  // namespace attnlab::experiment

// Which components go together: every attention with every position, cache and storage, from what they declare.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "choices/component_choice.h"
#include "registry/registry.h"

namespace attnlab::experiment {

struct Composition {
  ComponentChoice attention, position, cache;  // the cache with its storage
  std::vector<std::string> conflicts;          // empty: they go together
  std::vector<std::string> reasons;            // the conflicts, without what would be legal instead
  std::vector<std::string> notes;
};

/// Every loaded storage with the defaults of its options, that of caches which name none first.
[[nodiscard]] ATTNLAB_API std::vector<StorageChoice> storages(const Registry& registry);

/// The verdict on one combination; options that are not written have their defaults.
[[nodiscard]] ATTNLAB_API Composition compose(const Registry& registry, ComponentChoice attention,
                                              ComponentChoice position, ComponentChoice cache);

/// Choices of a kind: the one that `text` names, as in YAML, or every loaded one where it is empty.
[[nodiscard]] ATTNLAB_API std::vector<ComponentChoice> choices(const Registry& registry, Kind kind,
                                                               const std::string& text, const std::string& flag);

}  // namespace attnlab::experiment

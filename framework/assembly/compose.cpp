#include "assembly/compose.h"

#include <utility>

#include <attnlab/error.h>

#include "assembly/arm_model.h"
#include "choices/layered_choice.h"
#include "registry/composition.h"

namespace attnlab::experiment {

std::vector<StorageChoice> storages(const Registry& registry) {
  std::vector<StorageChoice> all;
  for (const std::string& id : registry.ids(Kind::storage)) {
    const StorageChoice choice = default_choice(*registry.find(Kind::storage, id));
    all.insert(id == kPlainStorage ? all.begin() : all.end(), choice);
  }
  return all;
}

Composition compose(const Registry& registry, ComponentChoice attention, ComponentChoice position,
                    ComponentChoice cache) {
  const auto traits = [&](const ComponentChoice& choice) {
    return registry.traits(registry.get(choice.kind, choice.id, choice.where.text()), choice.options);
  };
  const Traits of_position = traits(position);
  KeyForm form = KeyForm::rotated;
  const Part parts[] = {{Kind::attention, attention.id, traits(attention), attention.options},
                        {Kind::position, position.id, of_position, position.options},
                        {Kind::cache, cache.id, with_key_form(cache, of_position, traits(cache), form), cache.options},
                        storage_part(cache.storage.value_or(StorageChoice{}), registry, form)};
  Composition result{.attention = std::move(attention),
                     .position = std::move(position),
                     .cache = std::move(cache),
                     .conflicts = conflicts(parts, registry),
                     .reasons = conflicts(parts),
                     .notes = notes(parts)};
  return result;
}

std::vector<ComponentChoice> choices(const Registry& registry, Kind kind, const std::string& text,
                                     const std::string& flag) {
  std::vector<ComponentChoice> all;
  if (!text.empty()) {
    LayeredChoice choice = parse_layered(kind, text, flag, lookup_in(registry));
    if (!choice.overrides.empty())
      throw Error(flag, "a composition is of one layer", "name one component, without `layers`");
    all.push_back(std::move(choice.base));
    return all;
  }
  for (const std::string& id : registry.ids(kind)) all.push_back({.kind = kind, .id = id, .where = {}, .written = id});
  return all;
}

}  // namespace attnlab::experiment

#include "experiment/compose.h"

#include <utility>

#include <attnlab/error.h>

#include "experiment/arm_model.h"
#include "experiment/spec_layers.h"
#include "registry/composition.h"

namespace attnlab::experiment {

const std::vector<std::string>& shown_storages() {
  static const std::vector<std::string> storages{"f32", "bf16", "int8", "int4", "kivi"};
  return storages;
}

Composition compose(const Registry& registry, ComponentChoice attention, ComponentChoice position,
                    ComponentChoice cache) {
  const auto traits = [&](const ComponentChoice& choice) {
    return registry.traits(registry.get(choice.kind, choice.id, choice.where.text()), choice.options);
  };
  const Traits of_position = traits(position);
  KeyForm form = KeyForm::rotated;
  const Part parts[] = {{Kind::attention, attention.id, traits(attention)},
                        {Kind::position, position.id, of_position},
                        {Kind::cache, cache.id, with_key_form(cache, of_position, traits(cache), form)},
                        storage_part(cache.storage.value_or(StorageChoice{}), form)};
  Composition result{.attention = std::move(attention),
                     .position = std::move(position),
                     .cache = std::move(cache),
                     .conflicts = conflicts(parts),
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

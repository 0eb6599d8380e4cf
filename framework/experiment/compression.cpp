#include "experiment/compression.h"

#include <fmt/format.h>

#include "core/storage.h"

namespace attnlab::experiment {
namespace {

std::string name(const char* kind, const std::string& id) {
  return fmt::format("{} \"{}\"", kind, id);
}

}  // namespace

std::string Compression::unread() const {
  return fmt::format("no token read the compressed cache{} ({})", is_in_prompt ? " after its prompt" : "", text());
}

std::optional<Compression> compression_of(const ResolvedArm& arm, const Registry& registry, model::Session& session) {
  std::optional<Compression> found;
  const auto add = [&](std::string part, const char* does, bool is_in_prompt) {
    if (!found)
      found = {std::move(part), does, is_in_prompt, false};
    else
      found->is_in_prompt = found->is_in_prompt && is_in_prompt;
  };
  for (int layer = 0; layer < session.layers(); ++layer) {
    if (session.shape(layer).kv_heads == 0) continue;  // a state, which no policy touches
    const ResolvedComponent& cache = arm.layers[layer].cache;
    const LayerCache& made = session.cache(layer);
    const std::string& id = cache.descriptor->id;
    if (registry.traits(*cache.descriptor, cache.options).provides.has(Feature::token_eviction)) {
      add(name("cache", id), "may drop rows", made.visibility(0) != nullptr);
      found->drops_rows = true;
    }
    if (made.selector() != nullptr) add(name("cache", id), "lets a decode step read only some rows", false);
    if (const Rounding when = rounding(cache.storage); when != Rounding::none)
      add(name("storage", cache.storage.text()), "rounds rows", when == Rounding::when_appended);
  }
  return found;
}

}  // namespace attnlab::experiment

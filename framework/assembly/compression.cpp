#include "assembly/compression.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include <attnlab/budget.h>

namespace attnlab::experiment {
namespace {

std::string name(const char* kind, const std::string& id) {
  return fmt::format("{} \"{}\"", kind, id);
}

bool has_budget_in_bytes(const ResolvedComponent& cache) {
  return std::ranges::any_of(cache.descriptor->options, [&](const OptionSpec& option) {
    const auto given = cache.options.find(option.name);
    if (option.type != OptionType::budget || given == cache.options.end()) return false;
    const auto* text = std::get_if<std::string>(&given->second);
    const auto budget = text == nullptr ? std::nullopt : Budget::parse(*text);
    return budget && budget->unit == Budget::Unit::bytes;
  });
}

// Longer than any sequence: what a policy leaves of it is its bound.
constexpr int kEndless = std::numeric_limits<int>::max();

// What is evicted was not seen any more. Rows that are kept for something else than being new are no such rows.
bool keeps_newest(const LayerCache& cache, int kept, int seen) {
  const MaskRule* visible = cache.visibility(0);
  if (visible == nullptr) return kept >= seen;
  const Position query = kEndless / 2;
  return visible->cover({.queries = {query, query}, .keys = {query - seen + 1, query}}) == MaskRule::Cover::full;
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
    if (const Rounding when = cache.rows->rounding(); when != Rounding::none)
      add(name("storage", cache.storage.text()), "rounds rows", when == Rounding::when_appended);
  }
  return found;
}

std::vector<std::string> idle_notes(const ResolvedArm& arm, const model::Decoder& decoder, model::Session& session) {
  std::vector<std::string> notes;
  for (int layer = 0; layer < session.layers(); ++layer) {
    const int seen = decoder.attention(layer).visible_window();
    if (seen == 0 || session.shape(layer).kv_heads == 0) continue;
    const LayerCache& cache = session.cache(layer);
    const int kept = cache.row_limit(0, kEndless);
    if (kept == kEndless || !keeps_newest(cache, kept, seen)) continue;
    std::string note =
        fmt::format("attention \"{}\" sees {} tokens and cache \"{}\" keeps {}: it never evicts a row that is seen",
                    arm.layers[layer].attention.descriptor->id, seen, arm.layers[layer].cache.descriptor->id, kept);
    if (std::ranges::find(notes, note) == notes.end()) notes.push_back(std::move(note));
  }
  return notes;
}

std::vector<std::string> cache_notes(const ResolvedArm& arm, const Registry& registry, bool compresses) {
  std::vector<std::string> notes;
  const auto add = [&](std::string note) {
    if (std::ranges::find(notes, note) == notes.end()) notes.push_back(std::move(note));
  };
  for (const ResolvedLayer& layer : arm.layers) {
    const ResolvedComponent& cache = layer.cache;
    const std::string name = fmt::format("cache \"{}\"", cache.descriptor->id);
    if (!compresses && !cache.descriptor->options.empty())
      add(name + " drops, rounds and skips no row in any layer: the arm keeps and reads what a full cache does");
    if (!has_budget_in_bytes(cache)) continue;
    const FeatureSet provides = registry.traits(*cache.descriptor, cache.options).provides;
    if (!provides.has(Feature::token_eviction))
      add(name + ": the budget bounds the bytes that a step reads; every row stays allocated");
    else if (provides.has(Feature::evicts_after_prompt_only))
      add(name + ": the budget holds after the prompt, and every step adds a row");
  }
  return notes;
}

}  // namespace attnlab::experiment

#include "registry/composition.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "registry/way_out.h"

namespace attnlab {
namespace {

struct FeatureText {
  Feature feature;
  std::string_view name;
  std::string_view why;                    // of an exclusion
  std::string_view remedy = {};            // where it is a key that the host gives to every cache
  std::string_view why_of_attention = {};  // where it is the attention that excludes; empty: the same
};

constexpr std::array kTexts{
    FeatureText{Feature::kv_rows, "kv_rows", ""},
    FeatureText{Feature::attention_mass, "attention_mass", ""},
    FeatureText{Feature::fixed_state, "fixed_state", "it keeps no rows"},
    FeatureText{Feature::embedded_positions, "embedded_positions",
                "the position is baked into keys and values, so rows cannot be numbered anew"},
    FeatureText{Feature::score_bias, "score_bias", "it adds to scores, of which there are none"},
    FeatureText{Feature::row_bias, "row_bias", "what it adds follows from all scores of a query, and from its queries"},
    FeatureText{Feature::length_dependent_rotation, "length_dependent_rotation",
                "the angles change with the length of the sequence, so stored rotated keys go stale",
                "use `keys: unrotated` or `keys: auto`"},
    FeatureText{Feature::rotated_store, "rotated_store", "its keys are stored rotated", "use `keys: unrotated`"},
    FeatureText{Feature::unrotated_store, "unrotated_store", "its keys are stored without rotation",
                "use `keys: rotated`"},
    FeatureText{Feature::renumbered_positions, "renumbered_positions", "its rows are numbered anew"},
    FeatureText{Feature::single_kv_head, "single_kv_head", "all query heads read the same row"},
    FeatureText{Feature::windowed, "windowed", "a query sees only the newest rows"},
    FeatureText{Feature::several_maps, "several_maps", "its mass is summed over more than one softmax"},
    FeatureText{Feature::token_eviction,
                "token_eviction",
                "it drops single rows, while rows that share the scales of a group can only go together",
                {},
                "it drops rows that a later query may choose"},
    FeatureText{Feature::per_head_eviction, "per_head_eviction", "each kv head keeps rows of its own"},
    FeatureText{Feature::mass_based, "mass_based", "it decides by attention mass"},
    FeatureText{Feature::whole_groups, "whole_groups", "its rows become codes in groups"},
    FeatureText{Feature::rounded_rows, "rounded_rows", "its rows are rounded"},
    FeatureText{Feature::fixed_rows, "fixed_rows", "its rows are rounded once, when they come, and cannot be replaced"},
    FeatureText{Feature::selects_tiles, "selects_tiles", "it lets a query read some of its rows only"},
};

const FeatureText& text_of(Feature feature) {
  const auto found = std::ranges::find(kTexts, feature, &FeatureText::feature);
  ATTNLAB_CHECK(found != kTexts.end(), "a feature without a text");
  return *found;
}

// Notes on combinations that are legal but behave differently than expected.
struct NoteText {
  Feature of_cache;
  Feature of_attention;
  std::string_view text;
};
constexpr std::array kNotes{
    NoteText{Feature::per_head_eviction, Feature::single_kv_head,
             "{} decides for every kv head, and {} has one: one decision for all heads"},
    NoteText{Feature::mass_based, Feature::several_maps,
             "{} decides by the mass that {} declares: probabilities summed over all its maps, what a sink takes left "
             "out"},
};

std::string name_of(const Part& part) {
  return component_name(part.kind, part.id);
}

// What is wrong, without what would be right.
std::string sentence_of(std::span<const Part> parts, const Clash& clash) {
  const Part& part = parts[clash.part];
  const FeatureText& text = text_of(clash.feature);
  if (clash.other.has_value()) {
    const bool of_attention = part.kind == Kind::attention && !text.why_of_attention.empty();
    return fmt::format("{} cannot be combined with {}: {}", name_of(part), name_of(parts[*clash.other]),
                       of_attention ? text.why_of_attention : text.why);
  }
  // Rows and mass come from the attention; whatever else is needed is not offered by any of the parts.
  std::string who = "none of the arm's components provides";
  for (const Part& other : parts)
    if (&other != &part && other.kind == Kind::attention) who = name_of(other) + " does not provide";
  return fmt::format("{} needs {}, which {}", name_of(part), text.name, who);
}

std::string remedy_of(std::span<const Part> parts, const Clash& clash, const Registry& registry) {
  if (!clash.other.has_value()) return way_out(parts, clash, registry);
  const auto by_length = std::ranges::find_if(
      parts, [](const Part& part) { return part.traits.provides.has(Feature::length_dependent_rotation); });
  if (clash.feature == Feature::unrotated_store && by_length != parts.end()) {
    // Keys are stored without rotation because of the angles, so it is the angles that have to go.
    std::vector<Part> all(parts.begin(), parts.end());
    all[clash.part].traits.excludes.add(Feature::length_dependent_rotation);
    FeatureSet& stored = all[*clash.other].traits.provides;
    stored = stored.without({Feature::unrotated_store});
    const auto position = static_cast<std::size_t>(by_length - parts.begin());
    return way_out(all, {Feature::length_dependent_rotation, clash.part, position}, registry);
  }
  // Keys are the cache's: the angles that an attention cannot take are another matter.
  const bool is_of_keys = clash.feature != Feature::length_dependent_rotation || parts[clash.part].kind == Kind::cache;
  const std::string_view of_keys = is_of_keys ? text_of(clash.feature).remedy : std::string_view();
  return of_keys.empty() ? way_out(parts, clash, registry) : std::string(of_keys);
}

}  // namespace

std::vector<Clash> clashes(std::span<const Part> parts) {
  std::vector<Clash> found;
  for (std::size_t part = 0; part < parts.size(); ++part)
    for (const FeatureText& text : kTexts) {
      bool is_offered = false;
      for (std::size_t other = 0; other < parts.size(); ++other) {
        if (other == part || !parts[other].traits.provides.has(text.feature)) continue;
        is_offered = true;
        if (parts[part].traits.excludes.has(text.feature)) found.push_back({text.feature, part, other});
      }
      if (!is_offered && parts[part].traits.needs.has(text.feature)) found.push_back({text.feature, part, {}});
    }
  return found;
}

std::vector<std::string> conflicts(std::span<const Part> parts) {
  std::vector<std::string> found;
  for (const Clash& clash : clashes(parts)) found.push_back(sentence_of(parts, clash));
  return found;
}

std::vector<std::string> conflicts(std::span<const Part> parts, const Registry& registry) {
  std::vector<std::string> found;
  for (const Clash& clash : clashes(parts)) {
    const std::string remedy = remedy_of(parts, clash, registry);
    found.push_back(sentence_of(parts, clash) + (remedy.empty() ? "" : "; " + remedy));
  }
  return found;
}

std::vector<std::string> notes(std::span<const Part> parts) {
  std::vector<std::string> found;
  for (const NoteText& note : kNotes)
    for (const Part& cache : parts)
      for (const Part& attention : parts)
        if (cache.kind == Kind::cache && cache.traits.provides.has(note.of_cache) &&
            attention.kind == Kind::attention && attention.traits.provides.has(note.of_attention))
          found.push_back(fmt::format(fmt::runtime(note.text), name_of(cache), name_of(attention)));
  return found;
}

}  // namespace attnlab

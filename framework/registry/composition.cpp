#include "registry/composition.h"

#include <array>

#include <fmt/format.h>

namespace attnlab {
namespace {

struct FeatureText {
  Feature feature;
  std::string_view name;
  std::string_view why;                       // of an exclusion
  std::string_view remedy;                    // of an exclusion
  std::string_view remedy_of_attention = {};  // where it is the attention that excludes; empty: the same
  std::string_view why_of_attention = {};     // the same
};

constexpr std::array kTexts{
    FeatureText{Feature::kv_rows, "kv_rows", "", ""},
    FeatureText{Feature::attention_mass, "attention_mass", "", ""},
    FeatureText{Feature::fixed_state, "fixed_state", "it keeps no rows", "use cache full"},
    FeatureText{Feature::embedded_positions, "embedded_positions",
                "the position is baked into keys and values, so rows cannot be numbered anew",
                "use `positions: original`, or a position that acts on scores, such as rope or alibi"},
    FeatureText{Feature::score_bias, "score_bias", "it adds to scores, of which there are none",
                "use rope, xpos, sinusoidal, learned or none"},
    FeatureText{Feature::length_dependent_rotation, "length_dependent_rotation",
                "the angles change with the length of the sequence, so stored rotated keys go stale",
                "use `keys: unrotated` or `keys: auto`", "use a scaling that does not depend on the length"},
    FeatureText{Feature::rotated_store, "rotated_store", "its keys are stored rotated", "use `keys: unrotated`"},
    FeatureText{Feature::unrotated_store, "unrotated_store", "its keys are stored without rotation",
                "use `keys: rotated`"},
    FeatureText{Feature::renumbered_positions, "renumbered_positions", "its rows are numbered anew",
                "use `positions: original`"},
    FeatureText{Feature::single_kv_head, "single_kv_head", "all query heads read the same row", "use mha or gqa"},
    FeatureText{Feature::windowed, "windowed", "a query sees only the newest rows", "use `window: 0`"},
    FeatureText{Feature::several_maps, "several_maps", "its mass is summed over more than one softmax",
                "use mha, gqa or mqa"},
    FeatureText{Feature::token_eviction, "token_eviction",
                "it drops single rows, while rows that share the scales of a group can only go together",
                "use a storage without whole groups (`attnlab list storage`), or a cache that drops no rows",
                "use the cache full", "it drops rows that a later query may choose"},
    FeatureText{Feature::per_head_eviction, "per_head_eviction", "each kv head keeps rows of its own",
                "use a policy with one decision for all heads"},
    FeatureText{Feature::mass_based, "mass_based", "it decides by attention mass",
                "use a policy that decides by position or by keys"},
    FeatureText{Feature::whole_groups, "whole_groups", "its rows become codes in groups",
                "use a storage without whole groups (`attnlab list storage`)"},
    FeatureText{Feature::rounded_rows, "rounded_rows", "its rows are rounded", "use a storage that rounds no rows"},
    FeatureText{Feature::fixed_rows, "fixed_rows", "its rows are rounded once, when they come, and cannot be replaced",
                "use a storage whose rows can be replaced"},
    FeatureText{Feature::selects_tiles, "selects_tiles", "it lets a query read some of its rows only",
                "use the cache full, or mha, gqa or mqa"},
};

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
  return std::string(part.label.empty() ? kind_name(part.kind) : part.label) + " \"" + part.id + "\"";
}

}  // namespace

std::vector<std::string> conflicts(std::span<const Part> parts) {
  std::vector<std::string> found;
  for (const Part& part : parts) {
    for (const FeatureText& text : kTexts) {
      if (part.traits.excludes.has(text.feature)) {
        const bool of_attention = part.kind == Kind::attention;
        const std::string_view why = of_attention && !text.why_of_attention.empty() ? text.why_of_attention : text.why;
        const std::string_view remedy =
            of_attention && !text.remedy_of_attention.empty() ? text.remedy_of_attention : text.remedy;
        for (const Part& other : parts)
          if (&other != &part && other.traits.provides.has(text.feature))
            found.push_back(name_of(part) + " cannot be combined with " + name_of(other) + ": " + std::string(why) +
                            "; " + std::string(remedy));
      }
      if (part.traits.needs.has(text.feature)) {
        bool offered = false;
        for (const Part& other : parts)
          offered = offered || (&other != &part && other.traits.provides.has(text.feature));
        if (offered) continue;
        // Rows and mass come from the attention; whatever else is needed is not offered by any of the parts.
        std::string who = "none of the arm's components provides";
        for (const Part& other : parts)
          if (&other != &part && other.kind == Kind::attention) who = name_of(other) + " does not provide";
        found.push_back(name_of(part) + " needs " + std::string(text.name) + ", which " + who);
      }
    }
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

#include "registry/composition.h"

#include <array>

namespace attnlab {
namespace {

struct FeatureText {
  Feature feature;
  std::string_view name;
  std::string_view why;     // of an exclusion
  std::string_view remedy;  // of an exclusion
};

constexpr std::array kTexts{
    FeatureText{Feature::kv_rows, "kv_rows", "", ""},
    FeatureText{Feature::attention_mass, "attention_mass", "", ""},
    FeatureText{Feature::fixed_state, "fixed_state", "it keeps no rows", "use cache full"},
    FeatureText{Feature::embedded_positions, "embedded_positions",
                "the position is baked into keys and values, so rows cannot be numbered anew",
                "use `positions: original`, or a position that acts on scores, such as rope or alibi"},
    FeatureText{Feature::length_dependent_rotation, "length_dependent_rotation",
                "the angles change with the length of the sequence, so stored rotated keys go stale",
                "use `keys: unrotated` or `keys: auto`"},
    FeatureText{Feature::rotated_store, "rotated_store", "its keys are stored rotated", "use `keys: unrotated`"},
    FeatureText{Feature::unrotated_store, "unrotated_store", "its keys are stored without rotation",
                "use `keys: rotated`"},
    FeatureText{Feature::renumbered_positions, "renumbered_positions", "its rows are numbered anew",
                "use `positions: original`"},
};

std::string name_of(const Part& part) { return std::string(kind_name(part.kind)) + " \"" + part.id + "\""; }

}  // namespace

std::vector<std::string> conflicts(std::span<const Part> parts) {
  std::vector<std::string> found;
  for (const Part& part : parts) {
    for (const FeatureText& text : kTexts) {
      if (part.traits.excludes.has(text.feature)) {
        for (const Part& other : parts)
          if (&other != &part && other.traits.provides.has(text.feature))
            found.push_back(name_of(part) + " cannot be combined with " + name_of(other) + ": " + std::string(text.why) +
                            "; " + std::string(text.remedy));
      }
      if (part.traits.needs.has(text.feature)) {
        bool offered = false;
        for (const Part& other : parts) offered = offered || (&other != &part && other.traits.provides.has(text.feature));
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

}  // namespace attnlab

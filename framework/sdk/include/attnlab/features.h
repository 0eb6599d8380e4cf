// What components declare about themselves before anything runs: the terms in which needs and offers are compared.
// The registry refuses an arm in which no component offers a needed feature, or one offers an excluded feature.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace attnlab {

enum class Feature : std::uint32_t {
  kv_rows,                    // attention: keeps one key/value row a token, so that a cache policy has something to do
  attention_mass,             // attention: can say how much weight each row received
  fixed_state,                // attention: keeps a state that does not grow, and no rows
  embedded_positions,         // position: adds to token embeddings, so the position is baked into keys and values
  score_bias,                 // position: adds to scores, so the attention must have scores
  row_bias,                   // position: what it adds follows from all scores of a query
  length_dependent_rotation,  // position: angles change with the length of the sequence
  rotated_store,              // cache: keys are stored with their rotation
  unrotated_store,            // cache: keys are stored without rotation and rotated when read
  renumbered_positions,       // cache: positions count the rows that are kept
  single_kv_head,             // attention: all query heads read the same row
  windowed,                   // attention: a query sees only the newest rows
  several_maps,               // attention: mass is summed over more than one softmax, or a part of it belongs to no row
  token_eviction,             // cache: drops single rows
  per_head_eviction,          // cache: each kv head has its own decision
  evicts_after_prompt_only,   // cache: acts once, at the end of the prompt; then it grows by a row a step
  mass_based,                 // cache: decides by attention mass
  whole_groups,               // storage: rows become codes in groups, which cannot lose single rows
  rounded_rows,               // storage: rows may be read back changed
  fixed_rows,                 // storage: a row that is held cannot be replaced by another
  selects_tiles,              // cache: lets a query read some of its rows only
};

class FeatureSet {
 public:
  constexpr FeatureSet() = default;
  constexpr FeatureSet(std::initializer_list<Feature> features) {
    for (const Feature feature : features) add(feature);
  }
  constexpr void add(Feature feature) noexcept { bits_ |= std::uint32_t{1} << static_cast<std::uint32_t>(feature); }
  [[nodiscard]] constexpr bool has(Feature feature) const noexcept {
    return (bits_ >> static_cast<std::uint32_t>(feature) & 1U) != 0;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  [[nodiscard]] constexpr FeatureSet operator|(FeatureSet other) const noexcept {
    other.bits_ |= bits_;
    return other;
  }
  [[nodiscard]] constexpr FeatureSet operator&(FeatureSet other) const noexcept {
    other.bits_ &= bits_;
    return other;
  }
  [[nodiscard]] constexpr FeatureSet without(FeatureSet other) const noexcept {
    other.bits_ = bits_ & ~other.bits_;
    return other;
  }

 private:
  std::uint32_t bits_ = 0;
};

/// One component's statement, for one set of option values.
struct Traits {
  FeatureSet provides;
  FeatureSet needs;
  FeatureSet excludes;
};

}  // namespace attnlab

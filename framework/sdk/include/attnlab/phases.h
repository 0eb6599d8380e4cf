// In which phase a policy drops rows, and how many stay in each: at the end of a prompt, after each step of decode, or
// both, with a budget of its own for either.
// Not here: policies that can act at the end of a prompt alone, since they score rows by its last queries.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <attnlab/chunk.h>
#include <attnlab/features.h>
#include <attnlab/options.h>

namespace attnlab {

enum class Acts : std::uint8_t { both, prefill, decode };
template <>
inline constexpr std::array<Choice<Acts>, 3> kChoices<Acts>{
    {{"both", Acts::both}, {"prefill", Acts::prefill}, {"decode", Acts::decode}}};

struct ATTNLAB_API ActsOption {
  Acts acts = Acts::both;

  static constexpr auto fields() {
    return std::tuple{field("acts", &ActsOption::acts,
                            {.doc = "Phases in which rows are dropped: at the end of the prompt, after each step of "
                                    "decode, or both."})};
  }
  /// The feature of a policy that acts at the end of the prompt only.
  [[nodiscard]] Traits in_phases(Traits traits) const noexcept {
    if (acts == Acts::prefill) traits.provides.add(Feature::evicts_after_prompt_only);
    return traits;
  }
};

/// Rows of each sequence that stay when the policy acts.
class PhaseRows {
 public:
  /// [sequences] each.
  PhaseRows(Acts acts, std::vector<int> after_prompt, std::vector<int> after_step)
      : acts_(acts), after_prompt_(std::move(after_prompt)), after_step_(std::move(after_step)) {}

  /// At the end of this chunk; nothing where the policy does not act then.
  [[nodiscard]] std::optional<int> at(const ChunkView& chunk, int sequence) const noexcept {
    if (!chunk.ends_prompt_or_step(sequence)) return std::nullopt;
    const bool is_step = chunk.phases[sequence] == Phase::decode;
    if (acts_ == (is_step ? Acts::prefill : Acts::decode)) return std::nullopt;
    return (is_step ? after_step_ : after_prompt_)[static_cast<std::size_t>(sequence)];
  }
  [[nodiscard]] bool acts_in_decode() const noexcept { return acts_ != Acts::prefill; }
  /// As LayerCache::row_limit: where a prompt is left as it is there is no bound.
  [[nodiscard]] int limit(int sequence, int length) const noexcept {
    const auto place = static_cast<std::size_t>(sequence);
    if (acts_ == Acts::decode) return length;
    return std::min(length,
                    acts_ == Acts::prefill ? after_prompt_[place] : std::max(after_prompt_[place], after_step_[place]));
  }
  /// Rows that a kv head comes to between two checks of a step; as many as can be where steps drop none.
  [[nodiscard]] int most(int sequence) const noexcept {
    const int unbounded = std::numeric_limits<int>::max();
    return acts_in_decode() ? limit_of_step(sequence) + 1 : unbounded;
  }

 private:
  [[nodiscard]] int limit_of_step(int sequence) const noexcept {
    const auto place = static_cast<std::size_t>(sequence);
    return acts_ == Acts::decode ? after_step_[place] : std::max(after_prompt_[place], after_step_[place]);
  }

  Acts acts_;
  std::vector<int> after_prompt_, after_step_;
};

}  // namespace attnlab

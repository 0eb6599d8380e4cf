// What the conformance kit runs: a small random model with one attention, one position and one cache in every layer.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "assembly/arm_model.h"
#include "assembly/compose.h"

namespace attnlab::experiment::conformance {

/// Hidden states of every token that was fed, in the order of feeding; rows of hidden_dim numbers.
using Hidden = std::vector<float>;

class Subject {
 public:
  /// `fills_zeros`: what a training would begin with zeros (a table of a position scheme) has other numbers, since it
  /// would do nothing in most laws.
  Subject(const Registry& registry, const Composition& parts, bool fills_zeros = true);

  [[nodiscard]] const Registry& registry() const noexcept { return registry_; }
  [[nodiscard]] const Composition& parts() const noexcept { return parts_; }
  /// "gqa/rope/h2o", options included where there are any.
  [[nodiscard]] std::string name() const;
  [[nodiscard]] const ResolvedArm& arm() const noexcept { return arm_; }
  /// What the component of a kind declares with its options.
  [[nodiscard]] Traits traits(Kind kind) const;
  [[nodiscard]] model::Decoder& decoder() noexcept { return *decoder_; }
  /// The same with other options of the cache.
  [[nodiscard]] Subject with_cache(ComponentChoice cache) const;

  /// One sequence: a prompt, fed in pieces of the given size (0: at once), then tokens one at a time.
  [[nodiscard]] Hidden run(std::span<const model::TokenId> prompt, std::span<const model::TokenId> steps,
                           int piece = 0);
  /// Several sequences in one batch, prompts together and steps together; one result a sequence.
  [[nodiscard]] std::vector<Hidden> run_batch(const std::vector<std::vector<model::TokenId>>& prompts,
                                              const std::vector<std::vector<model::TokenId>>& steps);

 private:
  const Registry& registry_;
  Composition parts_;
  ResolvedArm arm_;
  std::unique_ptr<model::Decoder> decoder_;
};

/// Ids that differ from seed to seed.
[[nodiscard]] std::vector<model::TokenId> tokens(int count, std::uint64_t seed);

/// Largest difference, relative to the largest number of `right` (at least 1e-3).
[[nodiscard]] double deviation(const Hidden& found, const Hidden& right);

}  // namespace attnlab::experiment::conformance

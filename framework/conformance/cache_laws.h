// Laws about what a cache keeps: its budget, a budget of 100 %, the start as an empty sequence, saved and restored
// states, forks, tokens that are taken back.
#pragma once

#include "conformance/check.h"

namespace attnlab::experiment::conformance {

/// After every step, in decode too; a policy that acts after the prompt only may grow by a row a step, if it says so.
[[nodiscard]] std::optional<Finding> budget_is_kept(Subject& subject, Kind kind);
/// To the bit where the rows come in the same tiles, else within the rounding of sums that are split otherwise.
[[nodiscard]] std::optional<Finding> whole_budget_is_full(Subject& subject, Kind kind);
[[nodiscard]] std::optional<Finding> clears_to_the_start(Subject& subject, Kind kind);
/// Saved in the middle of the prompt, after it and in decode; restored into a new session and into one that was used.
[[nodiscard]] std::optional<Finding> goes_on_from_saved_state(Subject& subject, Kind kind);
/// A fork goes on as its original would have, and a sequence as if the tokens that were taken back had never been fed.
/// Says nothing where the arm refuses both.
[[nodiscard]] std::optional<Finding> forks_and_goes_back(Subject& subject, Kind kind);

}  // namespace attnlab::experiment::conformance

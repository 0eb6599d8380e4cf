// What a perplexity trial says about each window of its text, and a recall trial about each of its examples: where the
// intervals of quality come from.
#pragma once

#include <optional>
#include <string_view>

#include "report/block_bootstrap.h"
#include "report/trial_result.h"

namespace attnlab::report {

/// The sums that `metric` is the mean of (of perplexity: its logarithm), from `windows` of the trial's details, or from
/// its `examples`, whose queries are the tokens then. Nothing where the metric is no such figure, or the trial has
/// none, or one is not finite.
[[nodiscard]] std::optional<WindowSums> window_sums(const TrialResult& trial, std::string_view metric);

}  // namespace attnlab::report

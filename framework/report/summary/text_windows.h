// What a perplexity trial says about each window of its text, and a recall trial about each of its examples: where the
// intervals of quality come from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "report/read/trial_result.h"
#include "report/statistics/block_bootstrap.h"

namespace attnlab::report {

/// The sums that `metric` is the mean of (of perplexity: its logarithm), from `windows` of the trial's details, or from
/// its `examples`, whose queries are the tokens then. Nothing where the metric is no such figure, or the trial has
/// none, or one is not finite.
[[nodiscard]] std::optional<WindowSums> window_sums(const TrialResult& trial, std::string_view metric);

/// One number of one window: "window_nll" in nats, "window_kl", "window_same_top"; of one example of recall, whose
/// queries are the tokens: "example_right".
struct WindowValue {
  std::string metric, unit, better;
  std::size_t window = 0;
  double sum = 0, tokens = 0;
};
/// All of the trial's, figure by figure; those that the trial has beside the known ones are counts without a direction.
[[nodiscard]] std::vector<WindowValue> window_values(const TrialResult& trial);

}  // namespace attnlab::report

// A share of answers over independent examples: how sure it is, and how much it differs from another arm's on the same
// examples. Queries of one example go together, so examples are what is counted.
// Wilson's interval (1927), whose number of trials is the effective one of the clustered sample, and whose quantile is
// Student's for examples - 1 (Korn & Graubard 1998). Not here: texts, whose windows follow on each other
// (block_bootstrap.h).
#pragma once

#include <optional>

#include <attnlab/api.h>

#include "report/statistics/block_bootstrap.h"
#include "report/statistics/statistics.h"

namespace attnlab::report {

/// Fewer examples have no interval.
inline constexpr int kLeastExamples = 8;

/// Of sums over tokens; sums are the right answers, tokens the queries of each example. Nothing for too few examples.
/// Where all examples have the same share, as where all is right, an example counts as one trial.
[[nodiscard]] ATTNLAB_API std::optional<Interval> share_interval(const WindowSums& examples);

/// Of the ratio of two shares over the same examples, paired, for `arms` such ratios at once: linearised, with
/// Student's quantile. Nothing for too few examples, or where one of the shares is 0.
[[nodiscard]] ATTNLAB_API std::optional<Interval> share_ratio_interval(const WindowSums& baseline,
                                                                       const WindowSums& arm, int arms);

}  // namespace attnlab::report

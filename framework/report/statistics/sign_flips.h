// Intervals that hold for several arms at once, from a few rounds: max-T by sign flips.
//
// Where nothing but chance tells two arms apart, each round's log ratio might as well have had the other sign. So all
// patterns of signs are tried (random ones where there are many rounds), the same pattern for all arms since they share
// the round's baseline, and what a difference must exceed is the 95 % quantile of the largest |T| of any arm,
// studentised. An arm's interval holds every centre that is not rejected in this way: for the arm itself its own log
// ratios are flipped about that centre (for one arm alone this is exact for every symmetric noise), for the others
// about their mean. As all arms flip together, more arms need no more patterns: six rounds always do (2 of 64 are 3.1
// %). Not here: what to do about measurements that were disturbed alone (calm_values.h).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "report/statistics/statistics.h"

namespace attnlab::report {

/// Fewer rounds have so few sign patterns that no difference can be marked, however large.
inline constexpr int kLeastRoundsForMarks = 6;

/// Up to this many rounds all patterns are tried.
inline constexpr int kMostRoundsEnumerated = 11;

/// One entry for each arm: its log ratio to the baseline in each round, NaN where the round has none. The intervals of
/// the centres; nothing for an arm with fewer than kLeastRoundsForMarks rounds. The same input gives the same bytes.
[[nodiscard]] ATTNLAB_API std::vector<std::optional<Interval>> simultaneous_intervals(
    std::span<const std::vector<double>> log_ratios);

}  // namespace attnlab::report

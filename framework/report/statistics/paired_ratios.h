// Ratios of arms to arms that they are compared with, from pairs of values: what was measured in the same round, with
// the same seed. Pairing takes out what a whole round had in common. The intervals hold for all comparisons at once.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "report/statistics/sign_flips.h"
#include "report/statistics/statistics.h"

namespace attnlab::report {

/// What a pair has in common.
struct PairKey {
  std::int64_t seed = 0;
  int round = 0;

  friend auto operator<=>(const PairKey&, const PairKey&) = default;
};

using PairedValues = std::map<PairKey, double>;

/// The median over seeds of the medians of each seed's values.
[[nodiscard]] ATTNLAB_API double median_over_seeds(const PairedValues& values);

/// n: pairs; the median over seeds; its interval is about the spread within the seeds, from round to round.
[[nodiscard]] ATTNLAB_API Estimate estimate_over_seeds(const PairedValues& values);

/// The least and the greatest of the seeds' medians; nothing where there are fewer than two seeds.
[[nodiscard]] ATTNLAB_API std::optional<Interval> spread_over_seeds(const PairedValues& values);

/// For each pair of arms the ratio over the rounds that both have; rounds without a finite ratio are left out, and
/// nothing where none is left. From kLeastRoundsForMarks rounds on the interval is simultaneous; below it is the range,
/// whose coverage for all pairs at once is that of Bonferroni. None where a ratio is 0 or negative.
[[nodiscard]] ATTNLAB_API std::vector<std::optional<Estimate>> paired_ratios(std::span<const PairedValues> arms,
                                                                             std::span<const ArmPair> pairs);

/// The same of all arms to one baseline.
[[nodiscard]] ATTNLAB_API std::vector<std::optional<Estimate>> paired_ratios(const PairedValues& baseline,
                                                                             std::span<const PairedValues> arms);

}  // namespace attnlab::report

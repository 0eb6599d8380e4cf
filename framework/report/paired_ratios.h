// Ratios of several arms to the arm they are compared with, from pairs: what was measured in the same round, with the
// same seed. Pairing takes out what a whole round had in common. The intervals hold for all arms at once.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "report/sign_flips.h"
#include "report/statistics.h"

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

/// For each arm the ratio to the baseline over the pairs that both have; pairs without a finite ratio are left out, and
/// nothing where none is left. From kLeastRoundsForMarks pairs on the interval is simultaneous; below it is the range,
/// whose coverage for all arms at once is that of Bonferroni. None where a ratio is 0 or negative.
[[nodiscard]] ATTNLAB_API std::vector<std::optional<Estimate>> paired_ratios(const PairedValues& baseline,
                                                                             std::span<const PairedValues> arms);

}  // namespace attnlab::report

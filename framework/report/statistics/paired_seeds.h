// Differences of what was trained: each seed gives one pair, of the same start and the same batches, and chance is what
// seeds do to a training. Student's t on the pairs' differences (of logarithms, where a ratio is asked for), with
// Bonferroni for several comparisons at once. Seeds are few: sign flips, which assume less, need six pairs (two of 32
// patterns are 6.25 %), the t distribution does with five.
// Not here: rounds, which repeat one measurement (paired_ratios.h), and texts (block_bootstrap.h).
#pragma once

#include <optional>
#include <span>

#include <attnlab/api.h>

#include "report/statistics/paired_ratios.h"
#include "report/statistics/statistics.h"

namespace attnlab::report {

/// Fewer pairs of seeds mark nothing, however large a difference is.
inline constexpr int kLeastSeedsForMarks = 5;

/// What two arms differ by over the seeds that both have.
struct SeedsEstimate {
  Estimate estimate;      // n: pairs of seeds, one value each; the median of their ratios (or differences)
  bool is_ratio = false;  // false where a value is 0 or negative, which has no ratio: mine - theirs
};

/// The same of `comparisons` at once; one value a seed, NaN and infinities are left out. From kLeastSeedsForMarks pairs
/// on the interval is simultaneous with kConfidence and holds the median; with 2 or more it is the range, whose
/// coverage for all of them is Bonferroni's. Nothing where no seed has a pair.
[[nodiscard]] ATTNLAB_API std::optional<SeedsEstimate> paired_seeds(const PairedValues& mine,
                                                                    const PairedValues& theirs, int comparisons);

/// Whether there are as many pairs as a mark needs.
[[nodiscard]] inline bool has_enough_seeds(const Estimate& estimate) {
  return estimate.n >= kLeastSeedsForMarks;
}

/// The shortest interval that holds both; its coverage is the lesser one.
[[nodiscard]] ATTNLAB_API Interval hull_of(const Interval& one, const Interval& other);

}  // namespace attnlab::report

// How sure a median is, without assuming a distribution.
// The interval is the percentile interval of a smoothed bootstrap (samples drawn anew from the sample, linear between
// its values): whatever its level, its ends lie on the sorted sample's interpolation, as far from the least value as
// from the greatest. The plain level covers too seldom at 5 to 10 values, so it is calibrated to 95 %, for which
// Hettmansperger & Sheather (1986) give the place between two order statistics in closed form: no random numbers, and
// below six values, where even the range covers less, the range with the coverage that it has.
// Not here: ratios (paired_ratios.h), texts (block_bootstrap.h).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include <attnlab/api.h>

namespace attnlab::report {

/// What every interval is to cover.
inline constexpr double kConfidence = 0.95;

/// Quantile by linear interpolation between the sorted values (the usual "type 7"), p in 0 .. 1. NaN where there are
/// no values or one of them is NaN.
[[nodiscard]] ATTNLAB_API double quantile(std::span<const double> values, double p);
[[nodiscard]] ATTNLAB_API double median(std::span<const double> values);

struct Interval {
  double low = 0;
  double high = 0;
  double coverage = 0;        // probability that it holds the true value
  bool is_of_slices = false;  // from the slices of too few rounds; see slice_intervals.h

  /// False for the range of too few values.
  [[nodiscard]] bool is_confident() const { return coverage >= kConfidence; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

/// One arm against another: indices into a list of arms.
struct ArmPair {
  std::size_t arm = 0;
  std::size_t reference = 0;
};

/// Below this many values no interval of a median reaches 95 %.
inline constexpr int kLeastForInterval = 6;

/// The calibrated interval of the median; with 2 to 5 values the range from the least to the greatest, whose coverage
/// is lower (50, 75, 87.5, 93.75 %). Nothing for fewer than two values or where one of them is NaN.
[[nodiscard]] ATTNLAB_API std::optional<Interval> median_interval(std::span<const double> values);

/// A median of n values and its interval.
struct Estimate {
  int n = 0;
  double median = 0;
  std::optional<Interval> interval;
};

}  // namespace attnlab::report

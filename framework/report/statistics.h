// How sure a median is, without assuming a distribution: the interval between two order statistics, whose coverage
// follows from the binomial distribution alone (David & Nagaraja, Order Statistics, 7.1).
// Not here: the bootstrap and simultaneous intervals over several arms; these intervals are for one arm at a time.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::report {

/// Quantile by linear interpolation between the sorted values (the usual "type 7"), p in 0 .. 1. NaN where there are
/// no values or one of them is NaN.
[[nodiscard]] ATTNLAB_API double quantile(std::span<const double> values, double p);
[[nodiscard]] ATTNLAB_API double median(std::span<const double> values);

struct Interval {
  double low = 0;
  double high = 0;
  double coverage = 0;  // probability that it holds the true median

  friend bool operator==(const Interval&, const Interval&) = default;
};

/// Below this many values no interval of this kind reaches 95 %.
inline constexpr int kLeastForInterval = 6;

/// The narrowest pair of order statistics that covers the true median with at least 95 %. With 2 to 5 values it is the
/// range from the least to the greatest, whose coverage is lower (50, 75, 87.5, 93.75 %). Nothing for fewer than two
/// values or where one of them is NaN.
[[nodiscard]] ATTNLAB_API std::optional<Interval> median_interval(std::span<const double> values);

/// A median of n values and its interval.
struct Estimate {
  int n = 0;
  double median = 0;
  std::optional<Interval> interval;
};

[[nodiscard]] ATTNLAB_API Estimate estimate(std::span<const double> values);

/// What one round measured.
struct RoundValue {
  int round = 0;
  double value = 0;
};

/// Median and interval of value / baseline over the rounds that both have, each round at most once in either. Pairing
/// takes out what a whole round had in common. Rounds without a finite ratio are left out; nothing where none is left.
[[nodiscard]] ATTNLAB_API std::optional<Estimate> paired_ratio(std::span<const RoundValue> values,
                                                               std::span<const RoundValue> baseline);

}  // namespace attnlab::report

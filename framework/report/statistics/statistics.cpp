#include "report/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <boost/math/distributions/binomial.hpp>

namespace attnlab::report {
namespace {

bool has_nan(std::span<const double> values) {
  return std::ranges::any_of(values, [](double value) { return std::isnan(value); });
}

std::vector<double> sorted(std::span<const double> values) {
  std::vector<double> copy(values.begin(), values.end());
  std::ranges::sort(copy);
  return copy;
}

// The k-th smallest and the k-th greatest of n values hold the median between them, unless fewer than k of them fell on
// one side of it.
double coverage_of(int n, int k) {
  const boost::math::binomial_distribution<double> below_median(n, 0.5);
  return 1 - 2 * boost::math::cdf(below_median, k - 1);
}

// How far from the k-th towards the next value the interval may end, so that 95 % are left of the k-th's coverage.
// Hettmansperger & Sheather's formula is exact for Laplace's distribution and within half a percent for others.
double calibrated_step(int n, int k) {
  const double here = coverage_of(n, k);
  const double next = coverage_of(n, k + 1);
  const double excess = (here - kConfidence) / (here - next);
  return (n - k) * excess / (k + (n - 2 * k) * excess);
}

}  // namespace

double quantile(std::span<const double> values, double p) {
  if (values.empty() || has_nan(values)) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> order = sorted(values);
  const double place = p * static_cast<double>(order.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, order.size() - 1);
  if (order[below] == order[above]) return order[below];  // also where both are infinite
  const double fraction = place - static_cast<double>(below);
  if (fraction == 0) return order[below];
  return order[below] + fraction * (order[above] - order[below]);
}

double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

std::optional<Interval> median_interval(std::span<const double> values) {
  const int n = static_cast<int>(values.size());
  if (n < 2 || has_nan(values)) return std::nullopt;
  if (n < kLeastForInterval) {
    const auto [least, greatest] = std::ranges::minmax(values);
    return Interval{least, greatest, coverage_of(n, 1)};
  }
  int k = 1;
  while (2 * (k + 1) <= n && coverage_of(n, k + 1) >= kConfidence) ++k;
  const double place = (k - 1 + calibrated_step(n, k)) / (n - 1);
  return Interval{quantile(values, place), quantile(values, 1 - place), kConfidence};
}

}  // namespace attnlab::report

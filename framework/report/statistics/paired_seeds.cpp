#include "report/statistics/paired_seeds.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "report/statistics/students_t.h"

namespace attnlab::report {
namespace {

// Of the mean of independent values.
Interval mean_interval(const std::vector<double>& values, int comparisons) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double reach = quantile_of_t(n - 1, std::max(1, comparisons)) * std::sqrt(squares / (n - 1) / n);
  return {mean - reach, mean + reach, kConfidence};
}

}  // namespace

std::optional<SeedsEstimate> paired_seeds(const PairedValues& mine, const PairedValues& theirs, int comparisons) {
  std::vector<std::pair<double, double>> pairs;
  for (const auto& [key, value] : mine)
    if (const auto other = theirs.find(key);
        other != theirs.end() && std::isfinite(value) && std::isfinite(other->second))
      pairs.emplace_back(value, other->second);
  if (pairs.empty()) return std::nullopt;
  SeedsEstimate found;
  found.is_ratio = std::ranges::all_of(pairs, [](const auto& pair) { return pair.first > 0 && pair.second > 0; });
  std::vector<double> values, tested;
  for (const auto& [one, other] : pairs) {
    values.push_back(found.is_ratio ? one / other : one - other);
    tested.push_back(found.is_ratio ? std::log(values.back()) : values.back());
  }
  found.estimate = {static_cast<int>(pairs.size()), median(values), std::nullopt};
  if (has_enough_seeds(found.estimate)) {
    Interval interval = mean_interval(tested, comparisons);
    if (found.is_ratio) interval = {std::exp(interval.low), std::exp(interval.high), interval.coverage};
    // The mean that was tested is not quite the median, which must not lie outside all the same.
    found.estimate.interval = Interval{std::min(interval.low, found.estimate.median),
                                       std::max(interval.high, found.estimate.median), interval.coverage};
  } else if (pairs.size() > 1) {
    const auto [least, greatest] = std::ranges::minmax(values);
    const double misses = std::max(1, comparisons) * std::exp2(1 - static_cast<double>(pairs.size()));
    found.estimate.interval = Interval{least, greatest, std::max(0.0, 1 - misses)};
  }
  return found;
}

Interval hull_of(const Interval& one, const Interval& other) {
  return {std::min(one.low, other.low), std::max(one.high, other.high), std::min(one.coverage, other.coverage)};
}

}  // namespace attnlab::report

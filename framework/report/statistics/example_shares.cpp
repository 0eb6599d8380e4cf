#include "report/statistics/example_shares.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/statistics/students_t.h"

namespace attnlab::report {
namespace {

double total(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

std::optional<Interval> share_interval(const WindowSums& examples) {
  const auto count = static_cast<double>(examples.sums.size());
  const double queries = total(examples.tokens);
  if (count < kLeastExamples || queries <= 0) return std::nullopt;
  const double share = total(examples.sums) / queries;
  double squares = 0;  // of what each example is off the common share
  for (std::size_t i = 0; i < examples.sums.size(); ++i)
    squares += std::pow(examples.sums[i] - share * examples.tokens[i], 2);
  const double variance = count / (count - 1) * squares / (queries * queries);
  const double of_trials = share * (1 - share);
  const double trials = variance > 0 && of_trials > 0 ? std::min(of_trials / variance, queries) : count;
  const double z = quantile_of_t(count - 1, 1);
  const double middle = (share + z * z / (2 * trials)) / (1 + z * z / trials);
  const double reach = z / (1 + z * z / trials) * std::sqrt(of_trials / trials + z * z / (4 * trials * trials));
  // The ends meet 0 and 1 only up to rounding.
  return Interval{share == 0 ? 0 : std::max(0.0, middle - reach), share == 1 ? 1 : std::min(1.0, middle + reach),
                  kConfidence};
}

std::optional<Interval> share_ratio_interval(const WindowSums& baseline, const WindowSums& arm, int arms) {
  const auto count = static_cast<double>(arm.sums.size());
  const double theirs = total(baseline.sums), mine = total(arm.sums);
  if (count < kLeastExamples || theirs <= 0 || mine <= 0) return std::nullopt;
  double squares = 0;
  for (std::size_t i = 0; i < arm.sums.size(); ++i)
    squares += std::pow(arm.sums[i] / mine - baseline.sums[i] / theirs, 2);
  const double error = std::sqrt(count / (count - 1) * squares);
  const double reach = quantile_of_t(count - 1, arms) * error;
  return Interval{mine / theirs * std::exp(-reach), mine / theirs * std::exp(reach), kConfidence};
}

}  // namespace attnlab::report

#include "report/statistics/calm_values.h"

#include <algorithm>
#include <cmath>

#include "report/statistics/statistics.h"

namespace attnlab::report {
namespace {

constexpr double kMostDeviations = 2.7;  // where the whiskers of Tukey's box plot end
constexpr double kMadOfNormal = 1.4826;  // standard deviation of normal noise in median absolute deviations
constexpr int kSweeps = 4;               // of the median polish: the second already changes little
constexpr double kNothing = 1e-12;       // of a logarithm: what rounding leaves
constexpr double kWideningPower = 0.75;
// The centres of the other arms are estimates too, and the worst outliers are gone: without this, 5.1 to 6 % of
// families of four arms in turns are marked by chance.
constexpr double kWideningOfAll = 1.045;

std::vector<double> present(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  return values;
}

double median_size(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return values.empty() ? 0 : median(values);
}

// What is left of each value without the median of its arm and of its round.
std::vector<std::vector<double>> residuals_of(std::span<const std::vector<double>> arms) {
  std::vector<std::vector<double>> left(arms.begin(), arms.end());
  const auto take_out = [](auto&& values) {
    std::vector<double> all;
    for (const double* value : values)
      if (!std::isnan(*value)) all.push_back(*value);
    if (all.empty()) return;
    const double middle = median(all);
    for (double* value : values) *value -= middle;
  };
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::vector<double>& arm : left) {
      std::vector<double*> row;
      for (double& value : arm) row.push_back(&value);
      take_out(row);
    }
    for (std::size_t round = 0; round < left.front().size(); ++round) {
      std::vector<double*> column;
      for (std::vector<double>& arm : left) column.push_back(&arm[round]);
      take_out(column);
    }
  }
  return left;
}

}  // namespace

std::vector<CalmedArm> calmed(std::span<const std::vector<double>> arms) {
  std::vector<CalmedArm> result;
  if (arms.empty()) return result;
  const std::vector<std::vector<double>> residuals = residuals_of(arms);
  // A polish leaves as many zeros as it took medians out; they say nothing about the noise.
  std::vector<double> pooled;
  for (const std::vector<double>& arm : residuals)
    std::ranges::copy_if(present(arm), std::back_inserter(pooled),
                         [](double left) { return std::abs(left) > kNothing; });
  const double of_all = median_size(pooled);

  for (std::size_t arm = 0; arm < arms.size(); ++arm) {
    CalmedArm calm{.values = arms[arm]};
    const double deviation = std::max(of_all, median_size(present(residuals[arm])));
    const double most = kMostDeviations * kMadOfNormal * deviation + kNothing;
    for (std::size_t round = 0; round < calm.values.size(); ++round) {
      const double left = residuals[arm][round];
      if (std::isnan(left) || std::abs(left) <= most) continue;
      calm.values[round] -= left - std::copysign(most, left);
      ++calm.pulled;
    }
    result.push_back(std::move(calm));
  }
  return result;
}

double widening(int rounds, int pulled) {
  return kWideningOfAll * std::pow(2.0 * rounds / (2.0 * rounds - pulled), kWideningPower);
}

}  // namespace attnlab::report

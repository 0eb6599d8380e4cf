#include "report/paired_ratios.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attnlab::report {
namespace {

std::map<std::int64_t, std::vector<double>> by_seed(const PairedValues& values) {
  std::map<std::int64_t, std::vector<double>> seeds;
  for (const auto& [key, value] : values) seeds[key.seed].push_back(value);
  return seeds;
}

std::vector<double> seed_medians(const PairedValues& values) {
  std::vector<double> medians;
  for (const auto& [seed, rounds] : by_seed(values)) medians.push_back(median(rounds));
  return medians;
}

PairedValues ratios_of(const PairedValues& arm, const PairedValues& baseline) {
  PairedValues ratios;
  for (const auto& [key, value] : arm) {
    const auto theirs = baseline.find(key);
    if (theirs == baseline.end()) continue;
    const double ratio = value / theirs->second;
    if (std::isfinite(ratio)) ratios[key] = ratio;
  }
  return ratios;
}

bool has_logarithms(const PairedValues& ratios) {
  return std::ranges::all_of(ratios, [](const auto& entry) { return entry.second > 0; });
}

// In the order of the baseline's pairs; NaN where the arm has none.
std::vector<double> logarithms(const PairedValues& ratios, const PairedValues& baseline) {
  std::vector<double> logs;
  for (const auto& [key, value] : baseline) {
    const auto mine = ratios.find(key);
    logs.push_back(mine == ratios.end() ? std::numeric_limits<double>::quiet_NaN() : std::log(mine->second));
  }
  return logs;
}

// The range of n ratios leaves out their centre with 2 ^ (1 - n); that of any arm at most so many times as likely.
Interval range_of(const PairedValues& ratios, std::size_t arms) {
  Interval range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), 0};
  for (const auto& [key, ratio] : ratios) {
    range.low = std::min(range.low, ratio);
    range.high = std::max(range.high, ratio);
  }
  range.coverage = std::max(0.0, 1 - static_cast<double>(arms) * std::exp2(1 - static_cast<double>(ratios.size())));
  return range;
}

}  // namespace

double median_over_seeds(const PairedValues& values) {
  return median(seed_medians(values));
}

Estimate estimate_over_seeds(const PairedValues& values) {
  const double centre = median_over_seeds(values);
  std::vector<double> moved;  // as if all seeds had the same median
  for (const auto& [seed, rounds] : by_seed(values)) {
    const double own = median(rounds);
    for (const double value : rounds) moved.push_back(own == centre ? value : value - own + centre);
  }
  return {static_cast<int>(values.size()), centre, median_interval(moved)};
}

std::optional<Interval> spread_over_seeds(const PairedValues& values) {
  const std::vector<double> medians = seed_medians(values);
  if (medians.size() < 2) return std::nullopt;
  const auto [least, greatest] = std::ranges::minmax(medians);
  return Interval{least, greatest, 0};
}

std::vector<std::optional<Estimate>> paired_ratios(const PairedValues& baseline, std::span<const PairedValues> arms) {
  std::vector<PairedValues> ratios;
  std::vector<std::vector<double>> logs;
  std::vector<std::size_t> arm_of;  // each row of logs
  for (std::size_t arm = 0; arm < arms.size(); ++arm) {
    ratios.push_back(ratios_of(arms[arm], baseline));
    if (ratios.back().empty() || !has_logarithms(ratios.back())) continue;
    logs.push_back(logarithms(ratios.back(), baseline));
    arm_of.push_back(arm);
  }

  std::vector<std::optional<Estimate>> estimates(arms.size());
  for (std::size_t arm = 0; arm < arms.size(); ++arm)
    if (!ratios[arm].empty())
      estimates[arm] = Estimate{static_cast<int>(ratios[arm].size()), median_over_seeds(ratios[arm]), std::nullopt};
  const std::vector<std::optional<Interval>> intervals = simultaneous_intervals(logs);
  for (std::size_t i = 0; i < arm_of.size(); ++i) {
    Estimate& estimate = *estimates[arm_of[i]];
    if (intervals[i])
      // The centre that was tested is not quite the median, which must not lie outside all the same.
      estimate.interval = Interval{std::min(std::exp(intervals[i]->low), estimate.median),
                                   std::max(std::exp(intervals[i]->high), estimate.median), intervals[i]->coverage};
    else if (estimate.n > 1)
      estimate.interval = range_of(ratios[arm_of[i]], arm_of.size());
  }
  return estimates;
}

}  // namespace attnlab::report

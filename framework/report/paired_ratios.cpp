#include "report/paired_ratios.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/calm_values.h"

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

// In the order of the pairs of `all`; NaN where there is none.
std::vector<double> logarithms(const PairedValues& values, const PairedValues& all) {
  std::vector<double> logs;
  for (const auto& [key, value] : all) {
    const auto mine = values.find(key);
    const bool is_there = mine != values.end() && mine->second > 0 && std::isfinite(mine->second);
    logs.push_back(is_there ? std::log(mine->second) : std::numeric_limits<double>::quiet_NaN());
  }
  return logs;
}

// Simultaneous intervals of the ratios; arms that have too few pairs for one have no say in those of the others.
std::vector<std::optional<Interval>> intervals_of(const PairedValues& baseline, std::span<const PairedValues> arms,
                                                  const std::vector<PairedValues>& ratios) {
  std::vector<std::vector<double>> logs = {logarithms(baseline, baseline)};
  std::vector<std::size_t> compared;
  for (std::size_t arm = 0; arm < arms.size(); ++arm) {
    if (static_cast<int>(ratios[arm].size()) < kLeastRoundsForMarks || !has_logarithms(ratios[arm])) continue;
    compared.push_back(arm);
    logs.push_back(logarithms(arms[arm], baseline));
  }
  const std::vector<CalmedArm> calm = calmed(logs);
  std::vector<std::vector<double>> log_ratios;
  for (std::size_t i = 1; i < calm.size(); ++i) {
    log_ratios.push_back(calm[i].values);
    for (std::size_t round = 0; round < log_ratios.back().size(); ++round)
      log_ratios.back()[round] -= calm[0].values[round];
  }

  std::vector<std::optional<Interval>> intervals(arms.size());
  const std::vector<std::optional<Interval>> found = simultaneous_intervals(log_ratios);
  for (std::size_t i = 0; i < compared.size(); ++i) {
    if (!found[i]) continue;
    const double wider = widening(static_cast<int>(ratios[compared[i]].size()), calm[0].pulled + calm[i + 1].pulled);
    const double centre = (found[i]->low + found[i]->high) / 2;
    intervals[compared[i]] = Interval{std::exp(centre + (found[i]->low - centre) * wider),
                                      std::exp(centre + (found[i]->high - centre) * wider), kConfidence};
  }
  return intervals;
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
  for (const PairedValues& arm : arms) ratios.push_back(ratios_of(arm, baseline));
  const auto compared =
      static_cast<std::size_t>(std::ranges::count_if(ratios, [](const auto& pairs) { return !pairs.empty(); }));
  const std::vector<std::optional<Interval>> intervals = intervals_of(baseline, arms, ratios);

  std::vector<std::optional<Estimate>> estimates(arms.size());
  for (std::size_t arm = 0; arm < arms.size(); ++arm) {
    if (ratios[arm].empty()) continue;
    Estimate estimate{static_cast<int>(ratios[arm].size()), median_over_seeds(ratios[arm]), std::nullopt};
    if (intervals[arm])
      // The centre that was tested is not quite the median, which must not lie outside all the same.
      estimate.interval = Interval{std::min(intervals[arm]->low, estimate.median),
                                   std::max(intervals[arm]->high, estimate.median), intervals[arm]->coverage};
    else if (estimate.n > 1 && has_logarithms(ratios[arm]))
      estimate.interval = range_of(ratios[arm], compared);
    estimates[arm] = estimate;
  }
  return estimates;
}

}  // namespace attnlab::report

#include "report/statistics/paired_ratios.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "report/statistics/calm_values.h"

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

// In the order of `rounds`; NaN where there is none.
std::vector<double> logarithms(const PairedValues& values, const std::set<PairKey>& rounds) {
  std::vector<double> logs;
  for (const PairKey& key : rounds) {
    const auto mine = values.find(key);
    const bool is_there = mine != values.end() && mine->second > 0 && std::isfinite(mine->second);
    logs.push_back(is_there ? std::log(mine->second) : std::numeric_limits<double>::quiet_NaN());
  }
  return logs;
}

// Simultaneous intervals of the ratios; pairs that have too few rounds for one have no say in those of the others.
std::vector<std::optional<Interval>> intervals_of(std::span<const PairedValues> arms, std::span<const ArmPair> pairs,
                                                  const std::vector<PairedValues>& ratios) {
  std::vector<std::size_t> compared;      // pairs
  std::map<std::size_t, std::size_t> of;  // place of an arm among those that are compared
  std::set<PairKey> rounds;               // of what they are compared with
  for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
    if (static_cast<int>(ratios[pair].size()) < kLeastRoundsForMarks || !has_logarithms(ratios[pair])) continue;
    compared.push_back(pair);
    of.try_emplace(pairs[pair].arm);
    of.try_emplace(pairs[pair].reference);
    for (const auto& [key, value] : arms[pairs[pair].reference]) rounds.insert(key);
  }
  std::vector<std::vector<double>> logs;
  for (auto& [arm, place] : of) {
    place = logs.size();
    logs.push_back(logarithms(arms[arm], rounds));
  }
  const std::vector<CalmedArm> calm = calmed(logs);
  std::vector<std::vector<double>> log_ratios;
  for (const std::size_t pair : compared) {
    const CalmedArm &mine = calm[of.at(pairs[pair].arm)], &theirs = calm[of.at(pairs[pair].reference)];
    log_ratios.push_back(mine.values);
    for (std::size_t round = 0; round < log_ratios.back().size(); ++round)
      log_ratios.back()[round] -= theirs.values[round];
  }

  std::vector<std::optional<Interval>> intervals(pairs.size());
  const std::vector<std::optional<Interval>> found = simultaneous_intervals(log_ratios);
  for (std::size_t i = 0; i < compared.size(); ++i) {
    if (!found[i]) continue;
    const ArmPair& pair = pairs[compared[i]];
    const int pulled = calm[of.at(pair.arm)].pulled + calm[of.at(pair.reference)].pulled;
    const double wider = widening(static_cast<int>(ratios[compared[i]].size()), pulled);
    const double centre = (found[i]->low + found[i]->high) / 2;
    intervals[compared[i]] = Interval{std::exp(centre + (found[i]->low - centre) * wider),
                                      std::exp(centre + (found[i]->high - centre) * wider), kConfidence};
  }
  return intervals;
}

// The range of n ratios leaves out their centre with 2 ^ (1 - n); that of any pair at most so many times as likely.
Interval range_of(const PairedValues& ratios, std::size_t compared) {
  Interval range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity(), 0};
  for (const auto& [key, ratio] : ratios) {
    range.low = std::min(range.low, ratio);
    range.high = std::max(range.high, ratio);
  }
  range.coverage = std::max(0.0, 1 - static_cast<double>(compared) * std::exp2(1 - static_cast<double>(ratios.size())));
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

std::vector<std::optional<Estimate>> paired_ratios(std::span<const PairedValues> arms, std::span<const ArmPair> pairs) {
  std::vector<PairedValues> ratios;
  for (const ArmPair& pair : pairs) ratios.push_back(ratios_of(arms[pair.arm], arms[pair.reference]));
  const auto compared =
      static_cast<std::size_t>(std::ranges::count_if(ratios, [](const auto& rounds) { return !rounds.empty(); }));
  const std::vector<std::optional<Interval>> intervals = intervals_of(arms, pairs, ratios);

  std::vector<std::optional<Estimate>> estimates(pairs.size());
  for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
    if (ratios[pair].empty()) continue;
    Estimate estimate{static_cast<int>(ratios[pair].size()), median_over_seeds(ratios[pair]), std::nullopt};
    if (intervals[pair])
      // The centre that was tested is not quite the median, which must not lie outside all the same.
      estimate.interval = Interval{std::min(intervals[pair]->low, estimate.median),
                                   std::max(intervals[pair]->high, estimate.median), intervals[pair]->coverage};
    else if (estimate.n > 1 && has_logarithms(ratios[pair]))
      estimate.interval = range_of(ratios[pair], compared);
    estimates[pair] = estimate;
  }
  return estimates;
}

std::vector<std::optional<Estimate>> paired_ratios(const PairedValues& baseline, std::span<const PairedValues> arms) {
  std::vector<PairedValues> all = {baseline};
  all.insert(all.end(), arms.begin(), arms.end());
  std::vector<ArmPair> pairs;
  for (std::size_t arm = 1; arm < all.size(); ++arm) pairs.push_back({arm, 0});
  return paired_ratios(all, pairs);
}

}  // namespace attnlab::report

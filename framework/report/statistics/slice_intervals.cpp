#include "report/statistics/slice_intervals.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <boost/math/distributions/fisher_f.hpp>

#include "report/statistics/students_t.h"

namespace attnlab::report {
namespace {

constexpr double kTrimmed = 0.2;  // at either end
// The slices of one round do not show what differs from process to process; on recordings this makes up for it.
constexpr double kWideningOfOneRound = 1.2;
constexpr double kSurelyDiffer = 0.99;

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Squared error of a mean, were the values independent.
double square_error(std::span<const double> values) {
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  const auto count = static_cast<double>(values.size());
  return squares / (count - 1) / count;
}

struct Round {
  double centre = 0;        // of its log ratios
  double square_error = 0;  // of that
  double freedom = 0;
};

Round of_round(std::vector<double> logs) {
  std::ranges::sort(logs);
  const auto cut = static_cast<std::size_t>(kTrimmed * static_cast<double>(logs.size()));
  const std::size_t kept = logs.size() - 2 * cut;
  Round round{.centre = mean(std::span(logs).subspan(cut, kept)), .freedom = static_cast<double>(kept) - 1};
  for (std::size_t i = 0; i < cut; ++i) {
    logs[i] = logs[cut];
    logs[logs.size() - 1 - i] = logs[logs.size() - 1 - cut];
  }
  const double share = static_cast<double>(kept) / static_cast<double>(logs.size());
  round.square_error = square_error(logs) / (share * share);
  return round;
}

}  // namespace

std::optional<Interval> slice_interval(const RoundSlices& arm, const RoundSlices& reference, double ratio,
                                       int comparisons) {
  std::vector<Round> rounds;
  for (const auto& [key, mine] : arm) {
    const auto found = reference.find(key);
    if (found == reference.end()) continue;
    const Slices& theirs = found->second;
    if (mine.together != theirs.together || mine.seconds.size() != theirs.seconds.size()) continue;
    std::vector<double> logs;
    for (std::size_t i = 0; i < mine.seconds.size(); ++i)
      if (mine.seconds[i] > 0 && theirs.seconds[i] > 0) logs.push_back(std::log(theirs.seconds[i] / mine.seconds[i]));
    if (std::ssize(logs) >= kLeastSlices) rounds.push_back(of_round(std::move(logs)));
  }
  if (rounds.empty() || !(ratio > 0)) return std::nullopt;
  const auto count = static_cast<double>(rounds.size());
  double within = 0, freedom = 0;
  std::vector<double> centres;
  for (const Round& round : rounds) {
    within += round.square_error / (count * count);
    freedom += round.freedom;
    centres.push_back(round.centre);
  }
  double reach = quantile_of_t(freedom, comparisons) * std::sqrt(within);
  if (rounds.size() == 1) reach *= kWideningOfOneRound;
  // Rounds that differ by more than their slices can: then they are all there is, and they are few.
  if (const double between = rounds.size() > 1 ? square_error(centres) : 0; between > within) {
    const boost::math::fisher_f_distribution<double> by_chance(count - 1, freedom);
    const bool differ = within == 0 || boost::math::cdf(by_chance, between / within) > kSurelyDiffer;
    reach = std::max(reach, quantile_of_t(differ ? count - 1 : freedom, comparisons) * std::sqrt(between));
  }
  return Interval{ratio * std::exp(-reach), ratio * std::exp(reach), kConfidence, true};
}

}  // namespace attnlab::report

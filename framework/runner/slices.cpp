#include "runner/slices.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

#include "report/statistics/statistics.h"

namespace attnlab::experiment {
namespace {

constexpr int kMostParts = 512;
constexpr int kMostRuns = 1024;  // of one slice
constexpr double kGrowth = 1.5;
constexpr double kMostTimesLeast = 3;  // with what is not timed, at first
constexpr std::size_t kLeastRepeats = 4;
// From the median of absolute values to a standard deviation, for normal errors.
constexpr double kDeviationToSigma = 1.4826;

int whole(double number, std::int64_t most) {
  return static_cast<int>(std::clamp<std::int64_t>(std::llround(number), 1, std::max<std::int64_t>(most, 1)));
}

// Of the arms that have slices, as many laps as all of them have.
std::vector<std::vector<double>> logs_of(std::span<const std::vector<double>> slices) {
  std::size_t laps = SIZE_MAX;
  for (const std::vector<double>& of_arm : slices)
    if (!of_arm.empty()) laps = std::min(laps, of_arm.size());
  std::vector<std::vector<double>> logs;
  for (const std::vector<double>& of_arm : slices) {
    if (of_arm.empty()) continue;
    logs.emplace_back();
    for (std::size_t lap = 0; lap < laps; ++lap) logs.back().push_back(std::log(of_arm[lap]));
  }
  return logs;
}

// Without what the arms had in common in each lap.
std::vector<std::vector<double>> about_laps(std::vector<std::vector<double>> logs) {
  for (std::size_t lap = 0; lap < logs.front().size(); ++lap) {
    std::vector<double> of_lap;
    for (const std::vector<double>& of_arm : logs) of_lap.push_back(of_arm[lap]);
    const double common = report::median(of_lap);
    for (std::vector<double>& of_arm : logs) of_arm[lap] -= common;
  }
  return logs;
}

double trimmed_mean(std::vector<double> values) {
  std::ranges::sort(values);
  const auto cut = static_cast<std::ptrdiff_t>(values.size() / 5);
  return std::accumulate(values.begin() + cut, values.end() - cut, 0.0) /
         static_cast<double>(std::ssize(values) - 2 * cut);
}

}  // namespace

TurnPlan first_plan(std::span<const TimedWork> works, double most_seconds) {
  double seconds = 0, untimed = 0;  // of one repeat, the arms' mean
  std::int64_t passes = kMostParts, layers = kMostParts;
  bool cuts = false;
  for (const TimedWork& work : works) {
    seconds += std::max(work.seconds, 1e-6) / static_cast<double>(works.size());
    untimed += work.untimed / static_cast<double>(works.size());
    passes = std::min(passes, work.passes);
    layers = std::min(layers, work.layers);
    cuts = cuts || work.seconds > kLongPassSeconds * static_cast<double>(work.passes);
  }
  cuts = cuts && layers > 0;
  const double most = std::max(1.0, std::min(most_seconds, kMostTimesLeast * kLeastTimedSeconds) / (seconds + untimed));
  const double wanted = std::min(std::ceil(kLeastTimedSeconds / seconds), most);
  TurnPlan plan{.cuts_passes = cuts ? 1 : 0};
  if (seconds < kSliceSeconds) {
    const int runs = whole(std::min(kSliceSeconds / seconds, wanted), kMostRuns);
    plan.parts = whole(std::floor(wanted / runs), kMostParts);
    plan.repeats = runs * plan.parts;
    return plan;
  }
  plan.repeats = whole(std::floor(wanted), kMostParts);
  const std::int64_t pieces = std::min<std::int64_t>(cuts ? layers : passes, kMostParts / plan.repeats);
  plan.parts = plan.repeats * whole(seconds / kSliceSeconds, pieces);
  return plan;
}

double error_of_ratios(const TurnPlan& plan, std::span<const std::vector<double>> slices) {
  std::vector<std::vector<double>> logs = logs_of(slices);
  if (logs.size() < 2) return 0;
  const std::size_t laps = logs.front().size();
  if (laps < kLeastLaps) return std::numeric_limits<double>::infinity();
  // Each arm's own figure goes first, part by part where there are enough repeats to tell it from noise.
  const auto alike = static_cast<std::size_t>(std::max(1, plan.parts / plan.repeats));
  const std::size_t step = laps / alike >= kLeastRepeats ? alike : 1;
  for (std::vector<double>& of_arm : logs)
    for (std::size_t part = 0; part < step; ++part) {
      std::vector<double> of_part;
      for (std::size_t lap = part; lap < laps; lap += step) of_part.push_back(of_arm[lap]);
      const double own = report::median(of_part);
      for (std::size_t lap = part; lap < laps; lap += step) of_arm[lap] -= own;
    }
  std::vector<double> off;
  for (const std::vector<double>& of_arm : about_laps(logs))
    for (const double log : of_arm)
      if (log != 0) off.push_back(std::abs(log));  // medians leave zeros, which say nothing of the noise
  if (off.empty()) return 0;
  const auto arms = static_cast<double>(logs.size());
  const double freedom = (arms - 1) / arms;  // what the arms have in common was taken out
  return kDeviationToSigma * report::median(off) * std::numbers::sqrt2 / std::sqrt(freedom * static_cast<double>(laps));
}

std::vector<double> seconds_once(const TurnPlan& plan, std::span<const std::vector<double>> slices) {
  const std::vector<std::vector<double>> logs = logs_of(slices);
  std::vector<double> seconds(slices.size());
  if (logs.empty() || logs.front().empty()) return seconds;
  const std::vector<std::vector<double>> own = about_laps(logs);
  const std::size_t laps = logs.front().size();
  const auto alike = static_cast<std::size_t>(std::max(1, plan.parts / plan.repeats));  // parts of one repeat
  const int runs = std::max(1, plan.repeats / plan.parts);                              // in a slice
  std::size_t arm = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (slices[i].empty()) continue;
    for (std::size_t part = 0; part < alike; ++part) {
      std::vector<double> of_part, common;
      for (std::size_t lap = part; lap < laps; lap += alike) {
        of_part.push_back(own[arm][lap]);
        common.push_back(logs[arm][lap] - own[arm][lap]);
      }
      if (!of_part.empty()) seconds[i] += std::exp(trimmed_mean(std::move(common)) + trimmed_mean(std::move(of_part)));
    }
    seconds[i] /= runs;
    ++arm;
  }
  return seconds;
}

TurnPlan grown(const TurnPlan& plan, std::span<const std::vector<double>> slices, double untimed, double most_seconds) {
  double most = 0, all = 0;
  for (const std::vector<double>& of_arm : slices) {
    const double seconds = std::accumulate(of_arm.begin(), of_arm.end(), 0.0);
    most = std::max(most, seconds);
    all += seconds;
  }
  const double once = most / plan.repeats + untimed;
  const double room =
      std::min(most_seconds / std::max(once, 1e-9),
               kMostSecondsOfAll /
                   std::max(all / plan.repeats + static_cast<double>(slices.size()) * untimed, 1e-9));  // repeats
  if (room < plan.repeats + 1 || error_of_ratios(plan, slices) <= kErrorWanted) return plan;
  const int runs = std::max(1, plan.repeats / plan.parts), parts = std::max(1, plan.parts / plan.repeats);
  const double repeats = std::min(std::ceil(kGrowth * plan.repeats), room);
  const int sets = std::max(plan.repeats / runs, std::min(static_cast<int>(repeats / runs), kMostParts / parts));
  return {.repeats = sets * runs, .parts = sets * parts, .cuts_passes = plan.cuts_passes};
}

}  // namespace attnlab::experiment

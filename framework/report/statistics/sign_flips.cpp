#include "report/statistics/sign_flips.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>

#include <attnlab/error.h>

#include <attnlab/random.h>

namespace attnlab::report {
namespace {

constexpr int kDrawnPatterns = 1024;
constexpr std::uint64_t kSeed = 0x5167f11b;
constexpr int kHalvings = 40;
constexpr double kRounding = 1e-9;  // flips that are equal but for the order of addition count as equal

// Sums of signed values, one for each pattern of signs; pattern 0 flips nothing. A pattern and its mirror have the same
// |sum|, so where all are enumerated the first sign stays.
class SignPatterns {
 public:
  explicit SignPatterns(int rounds) : rounds_(rounds) {
    if (rounds <= kMostRoundsEnumerated) {
      patterns_ = std::size_t{1} << std::max(0, rounds - 1);
      return;
    }
    patterns_ = kDrawnPatterns;
    SplitMix64 random(kSeed);
    signs_.assign(patterns_ * static_cast<std::size_t>(rounds), 1);
    for (std::size_t i = static_cast<std::size_t>(rounds); i < signs_.size(); ++i)
      if (random.below(2) != 0) signs_[i] = -1;
  }

  [[nodiscard]] std::size_t size() const { return patterns_; }

  [[nodiscard]] std::vector<double> sums(const std::vector<double>& values) const {
    std::vector<double> sums(patterns_, 0.0);
    if (signs_.empty()) {
      for (const double value : values) sums[0] += value;
      std::size_t known = 1;  // each round that may flip doubles what is known
      for (int round = 1; round < rounds_; ++round, known *= 2)
        for (std::size_t i = 0; i < known; ++i) sums[known + i] = sums[i] - 2 * values[static_cast<std::size_t>(round)];
    } else {
      const double* sign = signs_.data();
      for (double& sum : sums) {
        for (int round = 0; round < rounds_; ++round) sum += sign[round] * values[static_cast<std::size_t>(round)];
        sign += rounds_;
      }
    }
    return sums;
  }

 private:
  int rounds_;
  std::size_t patterns_ = 0;
  std::vector<double> signs_;  // [patterns, rounds]; empty where all are enumerated
};

std::vector<double> present(const std::vector<double>& log_ratios) {
  std::vector<double> values;
  std::ranges::copy_if(log_ratios, std::back_inserter(values), [](double value) { return !std::isnan(value); });
  return values;
}

// One arm's log ratios, less their mean for the sake of rounding, and their sums under every pattern.
class FlippedArm {
 public:
  FlippedArm(const std::vector<double>& log_ratios, const SignPatterns& patterns) {
    const std::vector<double> values = present(log_ratios);
    rounds_ = static_cast<double>(values.size());
    mean_ = std::reduce(values.begin(), values.end()) / rounds_;
    std::vector<double> deviations;
    std::vector<double> ones;  // 0 where the round is missing
    for (const double value : log_ratios) {
      deviations.push_back(std::isnan(value) ? 0 : value - mean_);
      ones.push_back(std::isnan(value) ? 0 : 1);
      sum_ += deviations.back();
      squares_ += deviations.back() * deviations.back();
    }
    sums_ = patterns.sums(deviations);
    counts_ = patterns.sums(ones);
    const auto [low, high] = std::ranges::minmax(values);
    span_ = std::max(high - low, 1e-12 * std::max(1.0, std::abs(mean_)));
  }

  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] double span() const { return span_; }

  // Of centres as distances from the mean.
  // What makes |sum| of a pattern comparable: it then grows with Student's t. 0 where nothing deviates.
  [[nodiscard]] double scale(double centre) const {
    const double squares = squares_ - centre * (2 * sum_ - rounds_ * centre);
    return squares > 0 ? 1 / std::sqrt(squares) : 0;
  }
  [[nodiscard]] double flipped(std::size_t pattern, double centre) const {
    return std::abs(sums_[pattern] - centre * counts_[pattern]);
  }

 private:
  double mean_ = 0, sum_ = 0, squares_ = 0, rounds_ = 0, span_ = 0;
  std::vector<double> sums_, counts_;  // [patterns]
};

class FlipTest {
 public:
  explicit FlipTest(std::span<const std::vector<double>> arms)
      : patterns_(static_cast<int>(arms.front().size())),
        largest_(patterns_.size(), 0.0),
        second_(patterns_.size(), 0.0),
        largest_arm_(patterns_.size(), arms.size()) {
    for (std::size_t arm = 0; arm < arms.size(); ++arm) {
      arms_.emplace_back();
      if (static_cast<int>(present(arms[arm]).size()) < kLeastRoundsForMarks) continue;
      arms_[arm].emplace(arms[arm], patterns_);
      include(arm);
    }
  }

  [[nodiscard]] std::optional<Interval> interval(std::size_t arm) const {
    if (!arms_[arm]) return std::nullopt;
    const double span = arms_[arm]->span();
    return Interval{end_of(arm, -span), end_of(arm, span), kConfidence};
  }

 private:
  // Keeps the largest |T| of every pattern and whose it is, so that any one arm can be left out.
  void include(std::size_t arm) {
    const double scale = arms_[arm]->scale(0);
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
      const double size = arms_[arm]->flipped(i, 0) * scale;
      second_[i] = std::max(second_[i], std::min(size, largest_[i]));
      if (size <= largest_[i]) continue;
      largest_[i] = size;
      largest_arm_[i] = arm;
    }
  }

  [[nodiscard]] bool rejects(std::size_t arm, double centre) const {
    const FlippedArm& mine = *arms_[arm];
    const double scale = mine.scale(centre);
    const double observed = mine.flipped(0, centre) * scale - kRounding;
    const auto most = static_cast<std::size_t>((1 - kConfidence) * static_cast<double>(patterns_.size()) + kRounding);
    std::size_t as_large = 0;
    for (std::size_t i = 0; i < patterns_.size() && as_large <= most; ++i) {
      const double others = largest_arm_[i] == arm ? second_[i] : largest_[i];
      as_large += std::max(mine.flipped(i, centre) * scale, others) >= observed;
    }
    return as_large <= most;
  }

  // Between a centre that stands and one that is rejected.
  [[nodiscard]] double end_of(std::size_t arm, double step) const {
    double inside = 0;
    double outside = step;
    constexpr int kDoublings = 60;
    for (int i = 0; !rejects(arm, outside); ++i) {
      if (i == kDoublings) return std::copysign(std::numeric_limits<double>::infinity(), step);
      inside = outside;
      step *= 2;
      outside += step;
    }
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = inside + (outside - inside) / 2;
      (rejects(arm, middle) ? outside : inside) = middle;
    }
    return arms_[arm]->mean() + outside;
  }

  SignPatterns patterns_;
  std::vector<std::optional<FlippedArm>> arms_;  // nothing for those that have too few rounds
  std::vector<double> largest_, second_;         // [patterns]
  std::vector<std::size_t> largest_arm_;         // [patterns]
};

}  // namespace

std::vector<std::optional<Interval>> simultaneous_intervals(std::span<const std::vector<double>> log_ratios) {
  std::vector<std::optional<Interval>> intervals(log_ratios.size());
  if (log_ratios.empty() || log_ratios.front().empty()) return intervals;
  for (const std::vector<double>& arm : log_ratios)
    ATTNLAB_CHECK(arm.size() == log_ratios.front().size(), "every arm has an entry for every round");
  const FlipTest test(log_ratios);
  for (std::size_t arm = 0; arm < intervals.size(); ++arm) intervals[arm] = test.interval(arm);
  return intervals;
}

}  // namespace attnlab::report

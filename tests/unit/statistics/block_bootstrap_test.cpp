// Intervals over windows of text must cover what they claim, also for the skewed figures that texts have.
#include "report/statistics/block_bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

namespace attnlab::report {
namespace {

WindowSums window_sums(std::size_t windows, const std::function<double()>& per_token) {
  WindowSums figure;
  for (std::size_t i = 0; i < windows; ++i) {
    figure.tokens.push_back(i % 3 == 0 ? 200 : 255);
    figure.sums.push_back(figure.tokens.back() * per_token());
  }
  return figure;
}

TEST(BlockBootstrap, OfEqualWindowsIsAPoint) {
  const WindowSums figure = window_sums(120, [] { return 2.5; });
  EXPECT_DOUBLE_EQ(figure.mean(), 2.5);
  const Interval interval = BlockBootstrap(120).interval(std::span(&figure, 1));
  EXPECT_DOUBLE_EQ(interval.low, 2.5);
  EXPECT_DOUBLE_EQ(interval.high, 2.5);
}

// With many windows of symmetric figures the interval is the mean plus and minus 1.96 standard errors.
TEST(BlockBootstrap, OfManyWindowsAgreesWithTheCentralLimit) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(3, 0.5);
  WindowSums figure;
  for (int i = 0; i < 800; ++i) {
    figure.sums.push_back(noise(random));
    figure.tokens.push_back(1);
  }
  double squares = 0;
  for (const double sum : figure.sums) squares += std::pow(sum - figure.mean(), 2);
  const double error = std::sqrt(squares / 799 / 800);
  const Interval interval = BlockBootstrap(800).interval(std::span(&figure, 1));
  EXPECT_NEAR(interval.low, figure.mean() - 1.96 * error, 0.15 * error);
  EXPECT_NEAR(interval.high, figure.mean() + 1.96 * error, 0.15 * error);
}

TEST(BlockBootstrap, CoversTheMeanOfSkewedWindowsAsOftenAsItSays) {
  std::mt19937_64 random(4);
  std::lognormal_distribution<double> skewed(0, 0.7);
  const double truth = std::exp(0.7 * 0.7 / 2);
  constexpr int kTexts = 1000;
  const BlockBootstrap bootstrap(100);
  int covered = 0;
  for (int i = 0; i < kTexts; ++i) {
    const WindowSums figure = window_sums(100, [&] { return skewed(random); });
    const Interval interval = bootstrap.interval(std::span(&figure, 1));
    covered += interval.low <= truth && truth <= interval.high;
  }
  EXPECT_NEAR(covered / double{kTexts}, 0.95, 0.02 + 3 * std::sqrt(0.05 * 0.95 / kTexts));
}

// Of all arms to one baseline, one seed each.
std::vector<std::optional<Interval>> ratios_to(const WindowSums& baseline, std::vector<std::vector<WindowSums>> arms,
                                               const BlockBootstrap& bootstrap, RatioOf ratio) {
  std::vector<ArmPair> pairs;
  for (std::size_t arm = 0; arm < arms.size(); ++arm) pairs.push_back({arm, arms.size()});
  arms.push_back({baseline});
  return bootstrap.ratio_intervals(arms, pairs, ratio);
}

TEST(BlockBootstrap, RatiosHoldForAllArmsAtOnceAndCancelWhatWindowsShare) {
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> text(1, 0.5);  // windows differ much more than arms
  std::normal_distribution<double> noise(0, 0.02);
  constexpr int kTexts = 600;
  const BlockBootstrap bootstrap(120);
  int covered = 0;
  double width = 0;
  for (int i = 0; i < kTexts; ++i) {
    const WindowSums baseline = window_sums(120, [&] { return text(random); });
    std::vector<std::vector<WindowSums>> arms;
    for (int arm = 0; arm < 5; ++arm) {
      WindowSums figure = baseline;
      for (std::size_t w = 0; w < figure.sums.size(); ++w) figure.sums[w] += figure.tokens[w] * (0.01 + noise(random));
      arms.push_back({figure});
    }
    const auto intervals = ratios_to(baseline, arms, bootstrap, RatioOf::perplexities);
    covered += std::ranges::all_of(
        intervals, [](const auto& one) { return one->low <= std::exp(0.01) && std::exp(0.01) <= one->high; });
    width = std::max(width, intervals[0]->high - intervals[0]->low);
  }
  EXPECT_NEAR(covered / double{kTexts}, 0.95, 0.02 + 3 * std::sqrt(0.05 * 0.95 / kTexts));
  EXPECT_LT(width, 0.02);
}

TEST(BlockBootstrap, RatiosOfMeansAreQuotientsAndNothingOverZero) {
  const WindowSums two = window_sums(100, [] { return 2; });
  const WindowSums three = window_sums(100, [] { return 3; });
  const WindowSums zero = window_sums(100, [] { return 0; });
  const std::vector<std::vector<WindowSums>> arms = {{three}, {zero}};
  const auto ratios = ratios_to(two, arms, BlockBootstrap(100), RatioOf::means);
  EXPECT_NEAR(ratios[0]->low, 1.5, 1e-12);
  EXPECT_NEAR(ratios[0]->high, 1.5, 1e-12);
  EXPECT_FALSE(ratios[1]);
}

TEST(BlockBootstrap, OfSeveralSeedsIsAboutTheirMedian) {
  std::mt19937_64 random(6);
  std::normal_distribution<double> noise(0, 0.1);
  std::vector<WindowSums> seeds;
  for (const double level : {1.0, 2.0, 9.0}) seeds.push_back(window_sums(100, [&] { return level + noise(random); }));
  const Interval interval = BlockBootstrap(100).interval(seeds);
  EXPECT_GT(interval.low, 1.9);
  EXPECT_LT(interval.high, 2.1);
}

TEST(BlockBootstrap, GivesTheSameBytesForTheSameText) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> noise(3, 0.1);
  const WindowSums figure = window_sums(150, [&] { return noise(random); });
  EXPECT_EQ(BlockBootstrap(150).interval(std::span(&figure, 1)), BlockBootstrap(150).interval(std::span(&figure, 1)));
}

}  // namespace
}  // namespace attnlab::report

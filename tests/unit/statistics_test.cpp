// The intervals must cover what they claim, and ratios must compare what was measured together.
#include "report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace attnlab::report {
namespace {

using Values = std::vector<double>;

Values counting(int n) {
  Values values;
  for (int i = 1; i <= n; ++i) values.push_back(i);
  return values;
}

TEST(Quantile, InterpolatesBetweenSortedValues) {
  const Values values = {4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 0.25), 1.75);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(median(values), 2.5);
  EXPECT_DOUBLE_EQ(median(Values{3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median(Values{7}), 7);
}

TEST(Quantile, OfNothingOrOfNanIsNan) {
  EXPECT_TRUE(std::isnan(median({})));
  EXPECT_TRUE(std::isnan(median(Values{1, NAN, 3})));
}

TEST(Quantile, OfInfinitiesIsNotNan) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(median(Values{kInfinity, kInfinity}), kInfinity);
  EXPECT_EQ(median(Values{1, 2, kInfinity}), 2);
}

TEST(MedianInterval, NeedsTwoValuesWithoutNan) {
  EXPECT_FALSE(median_interval({}));
  EXPECT_FALSE(median_interval(Values{1}));
  EXPECT_FALSE(median_interval(Values{1, NAN}));
}

TEST(MedianInterval, BelowSixValuesIsTheRangeAndSaysItsCoverage) {
  const double coverages[] = {0.5, 0.75, 0.875, 0.9375};
  for (int n = 2; n < kLeastForInterval; ++n) {
    const auto interval = median_interval(counting(n));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->low, 1);
    EXPECT_EQ(interval->high, n);
    EXPECT_NEAR(interval->coverage, coverages[n - 2], 1e-12);
  }
}

// Ranks as tables of the sign test have them.
TEST(MedianInterval, TakesTheOrderStatisticsOfTheBinomialTable) {
  struct Row {
    int n, low, high;
  };
  for (const Row row : {Row{6, 1, 6}, Row{7, 1, 7}, Row{8, 1, 8}, Row{9, 2, 8}, Row{10, 2, 9}, Row{12, 3, 10},
                        Row{15, 4, 12}, Row{20, 6, 15}, Row{30, 10, 21}, Row{50, 18, 33}}) {
    const auto interval = median_interval(counting(row.n));
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->low, row.low) << row.n;
    EXPECT_EQ(interval->high, row.high) << row.n;
    EXPECT_GE(interval->coverage, 0.95);
  }
}

TEST(MedianInterval, CoversTheTrueMedianOfSkewedSamplesAsOftenAsItSays) {
  std::mt19937_64 random(11);
  std::lognormal_distribution<double> skewed(0, 1);  // median 1
  constexpr int kTrials = 20'000;
  for (const int n : {3, 7, 20}) {
    int covered = 0;
    double claimed = 0;
    for (int i = 0; i < kTrials; ++i) {
      Values values;
      for (int k = 0; k < n; ++k) values.push_back(skewed(random));
      const auto interval = median_interval(values);
      covered += interval->low <= 1 && 1 <= interval->high;
      claimed = interval->coverage;
    }
    // Four standard errors.
    EXPECT_NEAR(covered / double{kTrials}, claimed, 4 * std::sqrt(claimed * (1 - claimed) / kTrials)) << n;
  }
}

TEST(PairedRatio, ComparesWithinTheRound) {
  // The machine was twice as slow in round 1: unpaired medians would hide that the arm is always 1.5 times as fast.
  const std::vector<RoundValue> baseline = {{0, 100}, {1, 50}, {2, 110}};
  const std::vector<RoundValue> arm = {{2, 165}, {0, 150}, {1, 75}};
  const auto ratio = paired_ratio(arm, baseline);
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->n, 3);
  EXPECT_DOUBLE_EQ(ratio->median, 1.5);
  EXPECT_DOUBLE_EQ(ratio->interval->low, 1.5);
  EXPECT_DOUBLE_EQ(ratio->interval->high, 1.5);
}

TEST(PairedRatio, LeavesOutRoundsThatOnlyOneArmHas) {
  const auto ratio =
      paired_ratio(std::vector<RoundValue>{{0, 2}, {1, 9}, {3, 4}}, std::vector<RoundValue>{{0, 1}, {2, 7}, {3, 1}});
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->n, 2);
  EXPECT_DOUBLE_EQ(ratio->median, 3);
}

TEST(PairedRatio, IsNothingWithoutCommonRoundsOrOverZero) {
  const std::vector<RoundValue> one = {{0, 1}};
  EXPECT_FALSE(paired_ratio(one, {}));
  EXPECT_FALSE(paired_ratio({}, one));
  EXPECT_FALSE(paired_ratio(one, std::vector<RoundValue>{{1, 1}}));
  EXPECT_FALSE(paired_ratio(one, std::vector<RoundValue>{{0, 0}}));
  EXPECT_FALSE(paired_ratio(std::vector<RoundValue>{{0, 0}}, std::vector<RoundValue>{{0, 0}}));
  EXPECT_FALSE(paired_ratio(std::vector<RoundValue>{{0, NAN}}, one));
}

}  // namespace
}  // namespace attnlab::report

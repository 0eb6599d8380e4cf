// The intervals must cover what they claim, and ratios must compare what was measured together.
#include "report/statistics/statistics.h"

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

// Hettmansperger & Sheather's own formula, worked out by hand: at n = 10 the pairs 2 and 3 cover 97.852 and 89.063 %,
// so the interval ends (10 - 2) I / (2 + 6 I) = 0.6596 past the second, I = (97.852 - 95) / (97.852 - 89.063).
TEST(MedianInterval, EndsWhereTheFormulaSays) {
  const auto ten = median_interval(counting(10));
  EXPECT_NEAR(ten->low, 2.6577, 1e-3);
  EXPECT_NEAR(ten->high, 11 - 2.6577, 1e-3);
  EXPECT_EQ(ten->coverage, 0.95);
  const auto seven = median_interval(counting(7));
  EXPECT_NEAR(seven->low, 1.7335, 1e-3);  // I = (98.4375 - 95) / (98.4375 - 87.5)
}

// Ranks as tables of the sign test have them: the interval lies between the pair that covers more and the one that
// covers less than 95 %.
TEST(MedianInterval, LiesBetweenTheOrderStatisticsOfTheBinomialTable) {
  struct Row {
    int n, low, high;
  };
  for (const Row row : {Row{6, 1, 6}, Row{7, 1, 7}, Row{8, 1, 8}, Row{9, 2, 8}, Row{10, 2, 9}, Row{12, 3, 10},
                        Row{15, 4, 12}, Row{20, 6, 15}, Row{30, 10, 21}, Row{50, 18, 33}}) {
    const auto interval = median_interval(counting(row.n));
    ASSERT_TRUE(interval);
    EXPECT_GE(interval->low, row.low) << row.n;
    EXPECT_LT(interval->low, row.low + 1) << row.n;
    EXPECT_LE(interval->high, row.high) << row.n;
    EXPECT_GT(interval->high, row.high - 1) << row.n;
  }
}

TEST(MedianInterval, CoversTheTrueMedianAsOftenAsItSaysWhateverTheNoise) {
  std::mt19937_64 random(11);
  std::lognormal_distribution<double> skewed(0, 1);
  std::normal_distribution<double> normal(1, 1);
  std::student_t_distribution<double> heavy(2);
  constexpr int kTrials = 20'000;
  for (const int n : {3, 5, 6, 7, 8, 10, 20}) {
    int covered[3] = {};
    double claimed = 0;
    for (int i = 0; i < kTrials; ++i) {
      for (int kind = 0; kind < 3; ++kind) {
        Values values;
        for (int k = 0; k < n; ++k)
          values.push_back(kind == 0 ? skewed(random) : kind == 1 ? normal(random) : 1 + heavy(random));
        const auto interval = median_interval(values);
        covered[kind] += interval->low <= 1 && 1 <= interval->high;
        claimed = interval->coverage;
      }
    }
    // Four standard errors, and the percent that the formula is off for noise that is not Laplace's.
    for (const int count : covered)
      EXPECT_NEAR(count / double{kTrials}, claimed, 0.01 + 4 * std::sqrt(claimed * (1 - claimed) / kTrials)) << n;
  }
}

}  // namespace
}  // namespace attnlab::report

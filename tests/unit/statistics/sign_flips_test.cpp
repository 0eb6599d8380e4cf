// The fast search for an interval's ends must agree with the definition, written out slowly; and what it promises for
// all arms at once must hold.
#include "report/statistics/sign_flips.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace attnlab::report {
namespace {

using Arms = std::vector<std::vector<double>>;

// The definition, with masks and without any of the sharing.
// |Student's t| of flipped deviations from `centre`, written with their mean and standard deviation.
double student(const std::vector<double>& values, double centre, unsigned mask) {
  const double n = static_cast<double>(values.size());
  double mean = 0;
  for (std::size_t i = 0; i < values.size(); ++i) mean += ((mask >> i & 1) != 0 ? -1 : 1) * (values[i] - centre) / n;
  double squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    squares += std::pow(((mask >> i & 1) != 0 ? -1 : 1) * (values[i] - centre) - mean, 2);
  return std::abs(mean) / std::sqrt(squares / (n - 1) / n);
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

bool stands(const Arms& arms, std::size_t arm, double centre) {
  const double observed = student(arms[arm], centre, 0);
  const unsigned patterns = 1U << arms[arm].size();
  int as_large = 0;
  for (unsigned mask = 0; mask < patterns; ++mask) {
    double largest = student(arms[arm], centre, mask);
    for (std::size_t other = 0; other < arms.size(); ++other)
      if (other != arm) largest = std::max(largest, student(arms[other], mean_of(arms[other]), mask));
    as_large += largest >= observed * (1 - 1e-9);
  }
  return as_large > 0.05 * patterns;
}

Arms random_arms(std::mt19937_64& random, int arms, int rounds) {
  std::student_t_distribution<double> noise(3);
  Arms all(static_cast<std::size_t>(arms));
  std::vector<double> baseline;
  for (int i = 0; i < rounds; ++i) baseline.push_back(0.02 * noise(random));
  for (auto& arm : all)
    for (const double shared : baseline) arm.push_back(0.02 * noise(random) - shared);
  return all;
}

TEST(SignFlips, EndsLieWhereTheDefinitionStartsToReject) {
  std::mt19937_64 random(7);
  for (const int rounds : {6, 7, 8})
    for (const int count : {1, 3}) {
      const Arms arms = random_arms(random, count, rounds);
      const auto intervals = simultaneous_intervals(arms);
      for (std::size_t arm = 0; arm < arms.size(); ++arm) {
        ASSERT_TRUE(intervals[arm]);
        const double step = 1e-7 * (intervals[arm]->high - intervals[arm]->low);
        EXPECT_TRUE(stands(arms, arm, intervals[arm]->low + step)) << rounds << " rounds, arm " << arm;
        EXPECT_FALSE(stands(arms, arm, intervals[arm]->low - step)) << rounds << " rounds, arm " << arm;
        EXPECT_TRUE(stands(arms, arm, intervals[arm]->high - step)) << rounds << " rounds, arm " << arm;
        EXPECT_FALSE(stands(arms, arm, intervals[arm]->high + step)) << rounds << " rounds, arm " << arm;
      }
    }
}

TEST(SignFlips, NothingBelowSixRoundsForThereAreTooFewPatterns) {
  std::mt19937_64 random(8);
  EXPECT_FALSE(simultaneous_intervals(random_arms(random, 2, 5))[0]);
  EXPECT_TRUE(simultaneous_intervals(random_arms(random, 2, 6))[0]);
  EXPECT_TRUE(simultaneous_intervals({}).empty());
}

TEST(SignFlips, SixRoundsMarkALargeDifferenceAmongAHundredArms) {
  std::mt19937_64 random(9);
  Arms arms = random_arms(random, 99, 6);
  for (double& value : arms[40]) value = std::log(2) + value / 100;
  const auto intervals = simultaneous_intervals(arms);
  EXPECT_GT(intervals[40]->low, 0);
  EXPECT_LE(intervals[0]->low, 0);
}

TEST(SignFlips, MovingOrScalingAnArmMovesOrScalesItsIntervalAndNoOther) {
  std::mt19937_64 random(10);
  const Arms arms = random_arms(random, 3, 8);
  Arms changed = arms;
  for (double& value : changed[1]) value = 5 * value + 2;
  const auto before = simultaneous_intervals(arms);
  const auto after = simultaneous_intervals(changed);
  EXPECT_NEAR(after[0]->low, before[0]->low, 1e-9);
  EXPECT_NEAR(after[1]->low, 5 * before[1]->low + 2, 1e-9);
  EXPECT_NEAR(after[1]->high, 5 * before[1]->high + 2, 1e-9);
}

TEST(SignFlips, AreTheSameWhateverTheOrderOfTheArms) {
  std::mt19937_64 random(12);
  const Arms arms = random_arms(random, 4, 9);
  const auto forwards = simultaneous_intervals(arms);
  const auto backwards = simultaneous_intervals(Arms(arms.rbegin(), arms.rend()));
  for (std::size_t i = 0; i < arms.size(); ++i) EXPECT_EQ(*forwards[i], *backwards[arms.size() - 1 - i]);
}

TEST(SignFlips, HoldTogetherAsOftenAsTheySayForFewRoundsAndManyArms) {
  struct Row {
    int arms, rounds, families;
  };
  std::mt19937_64 random(13);
  for (const Row row : {Row{1, 7, 4000}, Row{3, 7, 4000}, Row{9, 8, 1500}, Row{3, 15, 400}, Row{30, 10, 300}}) {
    int covered = 0;
    for (int i = 0; i < row.families; ++i) {
      const auto intervals = simultaneous_intervals(random_arms(random, row.arms, row.rounds));
      covered += std::ranges::all_of(intervals, [](const auto& one) { return one->low <= 0 && 0 <= one->high; });
    }
    const double share = covered / double(row.families);
    const double error = 3 * std::sqrt(0.05 * 0.95 / row.families);
    EXPECT_GT(share, 0.945 - error) << row.arms << " arms, " << row.rounds << " rounds";
    EXPECT_LT(share, 0.975 + error) << row.arms << " arms, " << row.rounds << " rounds";
  }
}

}  // namespace
}  // namespace attnlab::report

// What was disturbed alone is pulled in, and nothing else is touched.
#include "report/statistics/calm_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "report/statistics/paired_ratios.h"

namespace attnlab::report {
namespace {

using Arms = std::vector<std::vector<double>>;

Arms noisy_arms(int arms, int rounds, double noise) {
  std::mt19937_64 random(21);
  std::normal_distribution<double> normal(0, noise);
  std::normal_distribution<double> machine(0, 1);  // moves every arm of a round, far more than the noise does
  Arms all(static_cast<std::size_t>(arms));
  for (int round = 0; round < rounds; ++round) {
    const double shared = machine(random);
    for (std::size_t arm = 0; arm < all.size(); ++arm)
      all[arm].push_back(static_cast<double>(arm) + shared + normal(random));
  }
  return all;
}

TEST(CalmValues, WholeRoundsAndWholeArmsAreLeftAlone) {
  const Arms arms = noisy_arms(4, 8, 0.001);
  const auto calm = calmed(arms);
  int pulled = 0;
  for (std::size_t arm = 0; arm < arms.size(); ++arm) {
    pulled += calm[arm].pulled;
    for (std::size_t round = 0; round < 8; ++round) EXPECT_NEAR(calm[arm].values[round], arms[arm][round], 0.003);
  }
  EXPECT_LE(pulled, 3);  // of 32 values of normal noise
}

TEST(CalmValues, AValueThatIsFarFromItsRoundAndItsArmIsPulledIn) {
  Arms arms = noisy_arms(4, 8, 0.001);
  const double before = arms[2][5];
  arms[2][5] -= 0.7;
  const auto calm = calmed(arms);
  EXPECT_GE(calm[2].pulled, 1);
  EXPECT_NEAR(calm[2].values[5], before, 0.01);
  EXPECT_LT(calm[2].values[5], before);
  EXPECT_EQ(calm[2].values[0], arms[2][0]);
}

TEST(CalmValues, MissingValuesStayMissing) {
  Arms arms = noisy_arms(3, 7, 0.01);
  arms[1][3] = arms[0][0] = NAN;
  const auto calm = calmed(arms);
  EXPECT_TRUE(std::isnan(calm[1].values[3]));
  EXPECT_TRUE(std::isnan(calm[0].values[0]));
  EXPECT_FALSE(std::isnan(calm[1].values[0]));
  EXPECT_TRUE(calmed({}).empty());
}

TEST(CalmValues, EqualValuesAreNoise) {
  const auto calm = calmed(Arms{{1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2}});
  EXPECT_EQ(calm[0].pulled + calm[1].pulled, 0);
}

TEST(CalmValues, WhatWasPulledInWidensTheInterval) {
  EXPECT_NEAR(widening(7, 0), 1.045, 1e-12);
  EXPECT_NEAR(widening(7, 2), 1.045 * std::pow(14.0 / 12.0, 0.75), 1e-12);
}

TEST(PairedRatios, OneDisturbedTrialDoesNotDecideHoweverLongItTook) {
  std::vector<PairedValues> arms(3);
  const double noise[] = {1.001, 0.999, 1.002, 0.998, 1, 1.001, 0.999, 1};
  for (int round = 0; round < 8; ++round)
    for (int arm = 0; arm < 3; ++arm)
      arms[static_cast<std::size_t>(arm)][{0, round}] = 100 * noise[(3 * arm + round) % 8];
  const auto intervals_with = [&](double disturbed) {
    arms[1][{0, 4}] = disturbed;
    return *paired_ratios(arms[0], std::span(arms).subspan(1))[0]->interval;
  };
  const Interval some = intervals_with(70);
  EXPECT_NEAR(intervals_with(0.07).low, some.low, 1e-9);
  EXPECT_NEAR(intervals_with(0.07).high, some.high, 1e-9);
  EXPECT_GT(some.low, 0.98);
}

}  // namespace
}  // namespace attnlab::report

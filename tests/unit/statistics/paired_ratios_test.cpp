// Ratios must compare what was measured together, and seeds must not pass for rounds.
#include "report/statistics/paired_ratios.h"

#include <gtest/gtest.h>

#include <cmath>

namespace attnlab::report {
namespace {

PairedValues rounds_of(const std::vector<double>& values) {
  PairedValues pairs;
  for (std::size_t i = 0; i < values.size(); ++i) pairs[{0, static_cast<int>(i)}] = values[i];
  return pairs;
}

std::optional<Estimate> ratio_of(const PairedValues& arm, const PairedValues& baseline) {
  return paired_ratios(baseline, std::span(&arm, 1)).front();
}

TEST(PairedRatios, CompareWithinTheRound) {
  // The machine was twice as slow in round 1: unpaired medians would hide that the arm is always 1.5 times as fast.
  const auto ratio =
      ratio_of(rounds_of({150, 75, 165, 150, 151.5, 150, 148.5}), rounds_of({100, 50, 110, 100, 101, 100, 99}));
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->n, 7);
  EXPECT_DOUBLE_EQ(ratio->median, 1.5);
  EXPECT_NEAR(ratio->interval->low, 1.5, 1e-9);
  EXPECT_NEAR(ratio->interval->high, 1.5, 1e-9);
  EXPECT_TRUE(ratio->interval->is_confident());
}

TEST(PairedRatios, LeaveOutRoundsThatOnlyOneArmHas) {
  const auto ratio = ratio_of({{{0, 0}, 2}, {{0, 1}, 9}, {{0, 3}, 4}}, {{{0, 0}, 1}, {{0, 2}, 7}, {{0, 3}, 1}});
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->n, 2);
  EXPECT_DOUBLE_EQ(ratio->median, 3);
}

TEST(PairedRatios, OfFewRoundsHaveTheRangeAndItsCoverageForAllArms) {
  const PairedValues baseline = rounds_of({1, 1, 1, 1, 1});
  const std::vector<PairedValues> arms = {rounds_of({1, 2, 3, 4, 5}), rounds_of({7, 7, 7, 7, 7})};
  const auto ratios = paired_ratios(baseline, arms);
  EXPECT_EQ(*ratios[0]->interval, (Interval{1, 5, 1 - 2 * std::exp2(-4)}));
  EXPECT_FALSE(ratios[1]->interval->is_confident());
}

TEST(PairedRatios, AreNothingWithoutCommonRoundsOrOverZero) {
  const PairedValues one = rounds_of({1});
  EXPECT_FALSE(ratio_of(one, {}));
  EXPECT_FALSE(ratio_of({}, one));
  EXPECT_FALSE(ratio_of(one, {{{0, 1}, 1}}));
  EXPECT_FALSE(ratio_of(one, {{{1, 0}, 1}}));  // another seed
  EXPECT_FALSE(ratio_of(one, rounds_of({0})));
  EXPECT_FALSE(ratio_of(rounds_of({0}), rounds_of({0})));
  EXPECT_FALSE(ratio_of(rounds_of({NAN}), one));
  const auto zero = ratio_of(rounds_of({0}), one);
  ASSERT_TRUE(zero);
  EXPECT_EQ(zero->median, 0);
  EXPECT_FALSE(zero->interval);
}

TEST(PairedRatios, AnArmThatStopsDoesNotTakeTheIntervalsOfTheOthers) {
  const PairedValues baseline = rounds_of({100, 101, 99, 100, 102, 98, 100});
  const std::vector<PairedValues> arms = {rounds_of({131, 130, 129, 130, 133, 127, 131}), rounds_of({120, 121}), {}};
  const auto ratios = paired_ratios(baseline, arms);
  EXPECT_GT(ratios[0]->interval->low, 1.2);
  EXPECT_TRUE(ratios[0]->interval->is_confident());
  EXPECT_EQ(ratios[1]->n, 2);
  EXPECT_FALSE(ratios[1]->interval->is_confident());
  EXPECT_FALSE(ratios[2]);
}

TEST(Seeds, TheEstimateIsTheMedianOfTheSeedsMediansAndTheSpreadTheirRange) {
  PairedValues values;
  for (int round = 0; round < 7; ++round) {
    values[{1, round}] = 10 + 0.1 * (round - 3);
    values[{2, round}] = 50 + 0.1 * (round - 3);
    values[{3, round}] = 20 + 0.1 * (round - 3);
  }
  const Estimate estimate = estimate_over_seeds(values);
  EXPECT_EQ(estimate.n, 21);
  EXPECT_DOUBLE_EQ(estimate.median, 20);
  // From round to round it moves by a tenth; that the seeds differ by 40 is no business of this interval.
  EXPECT_GT(estimate.interval->low, 19.7);
  EXPECT_LT(estimate.interval->high, 20.3);
  EXPECT_EQ(*spread_over_seeds(values), (Interval{10, 50, 0}));
  EXPECT_FALSE(spread_over_seeds(rounds_of({1, 2})));
}

}  // namespace
}  // namespace attnlab::report

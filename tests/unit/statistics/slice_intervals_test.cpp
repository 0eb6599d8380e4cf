// Intervals from the slices of a few rounds: against the formula by hand, and by simulation.
#include "report/statistics/slice_intervals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace attnlab::report {
namespace {

Slices slices(std::vector<double> seconds, std::string together = "1") {
  return {std::move(together), std::move(seconds)};
}

TEST(SliceInterval, IsStudentsTOnTheTrimmedLogarithmsOfPairs) {
  // Of one round, a fifth wider. Logarithms of the pairs: 0.01, 0.02, 0.03, 0.04, and 2, which something else hit.
  // Without a fifth at either end the middle three are left; drawn in they are 0.02, 0.02, 0.03, 0.04, 0.04 with a
  // squared deviation of 0.0004 in all.
  const double logs[] = {0.03, 2, 0.01, 0.04, 0.02};
  std::vector<double> mine, theirs;
  for (const double log : logs) {
    mine.push_back(0.5);
    theirs.push_back(0.5 * std::exp(log));
  }
  const auto interval = slice_interval({{{1, 0}, slices(mine)}}, {{{1, 0}, slices(theirs)}}, 1.03, 1);
  ASSERT_TRUE(interval);
  const double error = std::sqrt(0.0004 / 4 / 5) / 0.6;
  const double quantile = 4.302652729696142;  // of t with 2 degrees of freedom, 97.5 %
  EXPECT_NEAR(interval->low, 1.03 * std::exp(-1.2 * quantile * error), 1e-12);
  EXPECT_NEAR(interval->high, 1.03 * std::exp(1.2 * quantile * error), 1e-12);
  EXPECT_TRUE(interval->is_of_slices);
  EXPECT_TRUE(interval->is_confident());
  const auto of_five = slice_interval({{{1, 0}, slices(mine)}}, {{{1, 0}, slices(theirs)}}, 1.03, 5);
  EXPECT_NEAR(std::log(of_five->high / 1.03) / error / 1.2, 9.924843200918293, 1e-9);  // 99.5 %
}

TEST(SliceInterval, HoldsWhatRoundsDifferBy) {
  const std::vector<double> same(8, 1.0);
  std::vector<double> slower(8, 1.2);
  slower[3] = 1.2001;
  const RoundSlices arm{{{1, 0}, slices(same)}, {{1, 1}, slices(same)}};
  const RoundSlices reference{{{1, 0}, slices(same)}, {{1, 1}, slices(slower)}};
  const auto interval = slice_interval(arm, reference, 1.1, 1);
  ASSERT_TRUE(interval);
  EXPECT_LT(interval->low, 1);
  EXPECT_GT(interval->high, 1.2);
}

TEST(SliceInterval, IsOfSlicesThatWereMeasuredInTurnsAlone) {
  const std::vector<double> five{1, 2, 3, 4, 5}, four{1, 2, 3, 4};
  const auto of = [](const Slices& mine, const Slices& theirs) {
    return slice_interval({{{1, 0}, mine}}, {{{1, 0}, theirs}}, 1, 1).has_value();
  };
  EXPECT_TRUE(of(slices(five), slices(five)));
  EXPECT_FALSE(of(slices(five, "1"), slices(five, "2")));
  EXPECT_FALSE(of(slices(five), slices(four)));
  EXPECT_FALSE(of(slices(four), slices(four)));
  EXPECT_FALSE(slice_interval({{{1, 0}, slices(five)}}, {{{1, 1}, slices(five)}}, 1, 1));
}

// Noise with a slice in ten far off: 95 % of the intervals hold the true ratio.
TEST(SliceInterval, CoversWhatItSays) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> noise(0, 0.05);
  const auto slice = [&](double seconds) {
    return seconds * std::exp(noise(random) + (random() % 10 == 0 ? std::abs(noise(random)) * 10 : 0));
  };
  constexpr int kStudies = 2000;
  for (const int rounds : {1, 2, 3}) {
    int covered = 0;
    for (int study = 0; study < kStudies; ++study) {
      RoundSlices mine, theirs;
      std::vector<double> ratios;
      for (int round = 0; round < rounds; ++round) {
        std::vector<double> a, b, logs;
        for (int i = 0; i < 20; ++i) {
          a.push_back(slice(1));
          b.push_back(slice(1.1));
          logs.push_back(std::log(b.back() / a.back()));
        }
        std::ranges::sort(logs);
        double sum = 0;
        for (int i = 4; i < 16; ++i) sum += logs[static_cast<std::size_t>(i)] / 12;
        ratios.push_back(std::exp(sum));
        mine[{1, round}] = slices(a);
        theirs[{1, round}] = slices(b);
      }
      const auto interval = slice_interval(mine, theirs, median(ratios), 1);
      covered += interval->low <= 1.1 && 1.1 <= interval->high;
    }
    EXPECT_GE(covered, 0.93 * kStudies) << rounds;
    EXPECT_LE(covered, 0.99 * kStudies) << rounds;
  }
}

// Processes that differ by far more than their slices do: the rounds alone say how much, and two say little.
TEST(SliceInterval, IsThatOfTheRoundsWhereProcessesDiffer) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> noise(0, 1);
  constexpr int kStudies = 2000;
  for (const int rounds : {2, 3, 5}) {
    int covered = 0;
    for (int study = 0; study < kStudies; ++study) {
      RoundSlices mine, theirs;
      std::vector<double> ratios;
      for (int round = 0; round < rounds; ++round) {
        const double process = std::exp(0.2 * noise(random));
        std::vector<double> a, b;
        for (int i = 0; i < 20; ++i) {
          a.push_back(std::exp(0.02 * noise(random)));
          b.push_back(process * std::exp(0.02 * noise(random)));
        }
        ratios.push_back(process);
        mine[{1, round}] = slices(a);
        theirs[{1, round}] = slices(b);
      }
      const auto interval = slice_interval(mine, theirs, median(ratios), 1);
      covered += interval->low <= 1 && 1 <= interval->high;
    }
    EXPECT_GE(covered, 0.9 * kStudies) << rounds;
  }
}

}  // namespace
}  // namespace attnlab::report

// Intervals of shares over examples: where nothing is clustered they are Wilson's, where all is right they leave room
// for what a few examples cannot show, and over many samples they cover the truth as often as they say.
#include <cmath>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "report/statistics/example_shares.h"

namespace attnlab::report {
namespace {

WindowSums examples(int count, int queries, const std::function<int()>& right) {
  WindowSums all;
  for (int i = 0; i < count; ++i) {
    all.sums.push_back(right());
    all.tokens.push_back(queries);
  }
  return all;
}

TEST(ShareInterval, OfManyIndependentAnswersIsWilsons) {
  int number = 0;
  const auto interval = share_interval(examples(10'000, 1, [&] { return number++ % 5 == 0 ? 0 : 1; }));
  ASSERT_TRUE(interval);
  constexpr double kShare = 0.8, kCount = 10'000, kZ = 1.959964;
  const double middle = (kShare + kZ * kZ / (2 * kCount)) / (1 + kZ * kZ / kCount);
  const double reach =
      kZ / (1 + kZ * kZ / kCount) * std::sqrt(kShare * (1 - kShare) / kCount + kZ * kZ / (4 * kCount * kCount));
  EXPECT_NEAR(interval->low, middle - reach, 1e-5);
  EXPECT_NEAR(interval->high, middle + reach, 1e-5);
}

TEST(ShareInterval, OfAllRightIsThatOfAsManyTrialsAsExamples) {
  const auto interval = share_interval(examples(32, 16, [] { return 16; }));
  ASSERT_TRUE(interval);
  EXPECT_EQ(interval->high, 1);
  // n / (n + t^2), t = 2.0395 with 31 degrees of freedom.
  EXPECT_NEAR(interval->low, 32 / (32 + 2.0395 * 2.0395), 1e-4);
  const auto none = share_interval(examples(32, 16, [] { return 0; }));
  EXPECT_EQ(none->low, 0);
  EXPECT_NEAR(none->high, 1 - interval->low, 1e-12);
}

TEST(ShareInterval, IsNotGivenForAFewExamples) {
  EXPECT_FALSE(share_interval(examples(kLeastExamples - 1, 16, [] { return 8; })));
  EXPECT_FALSE(share_interval({}));
}

// Examples differ: the share of each is drawn anew, so its 16 queries say less than 16 of different examples would.
TEST(ShareInterval, CoversTheTruthOfClusteredAnswers) {
  std::mt19937_64 random(11);
  std::uniform_real_distribution<double> uniform(0.4, 1.0);
  const auto right = [&] { return std::binomial_distribution<int>(16, uniform(random))(random); };
  constexpr int kSamples = 2000;
  int covered = 0;
  for (int sample = 0; sample < kSamples; ++sample) {
    const auto interval = share_interval(examples(24, 16, right));
    ASSERT_TRUE(interval && interval->is_confident());
    covered += interval->low <= 0.7 && interval->high >= 0.7 ? 1 : 0;
  }
  EXPECT_NEAR(covered / double{kSamples}, 0.95, 0.02);
}

TEST(ShareRatioInterval, CoversTheTruthAndIsNarrowerThanWithoutThePairs) {
  std::mt19937_64 random(12);
  std::uniform_real_distribution<double> uniform(0.4, 1.0);
  constexpr int kSamples = 2000;
  int covered = 0;
  double paired_width = 0, apart_width = 0;
  for (int sample = 0; sample < kSamples; ++sample) {
    WindowSums baseline, arm, other;
    for (int i = 0; i < 24; ++i) {
      const double hard = uniform(random);  // the same for both arms, but not for those of another example
      baseline.sums.push_back(std::binomial_distribution<int>(16, hard)(random));
      arm.sums.push_back(std::binomial_distribution<int>(16, 0.8 * hard)(random));
      other.sums.push_back(std::binomial_distribution<int>(16, 0.8 * uniform(random))(random));
      for (WindowSums* one : {&baseline, &arm, &other}) one->tokens.push_back(16);
    }
    const auto paired = share_ratio_interval(baseline, arm, 1), apart = share_ratio_interval(baseline, other, 1);
    ASSERT_TRUE(paired && apart);
    covered += paired->low <= 0.8 && paired->high >= 0.8 ? 1 : 0;
    paired_width += paired->high - paired->low;
    apart_width += apart->high - apart->low;
  }
  EXPECT_NEAR(covered / double{kSamples}, 0.95, 0.02);
  EXPECT_LT(paired_width, 0.9 * apart_width);
}

TEST(ShareRatioInterval, OfMoreArmsAtOnceIsWiderAndOfEqualAnswersIsOne) {
  int number = 0;
  const WindowSums some = examples(16, 8, [&] { return 3 + number++ % 5; });
  const WindowSums others = examples(16, 8, [&] { return 2 + number++ % 6; });
  const auto one = share_ratio_interval(some, others, 1), five = share_ratio_interval(some, others, 5);
  EXPECT_LT(five->low, one->low);
  EXPECT_GT(five->high, one->high);
  const auto same = share_ratio_interval(some, some, 3);
  EXPECT_DOUBLE_EQ(same->low, 1);
  EXPECT_DOUBLE_EQ(same->high, 1);
  EXPECT_FALSE(share_ratio_interval(some, examples(16, 8, [] { return 0; }), 1));
}

}  // namespace
}  // namespace attnlab::report

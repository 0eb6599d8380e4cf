// The one generator: its published numbers, and what is made of them.
#include <attnlab/random.h>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

namespace attnlab {
namespace {

// The first outputs of the authors' code for the seed 1234567.
constexpr std::array<std::uint64_t, 5> kPublished{6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                                  4593380528125082431U, 16408922859458223821U};

TEST(Random, GivesThePublishedNumbers) {
  SplitMix64 random(1234567);
  for (const std::uint64_t right : kPublished) EXPECT_EQ(random.next(), right);
}

TEST(Random, SkipsAsManyAsItIsTold) {
  for (std::size_t skipped = 0; skipped < kPublished.size(); ++skipped) {
    SplitMix64 random(1234567);
    random.skip(skipped);
    EXPECT_EQ(random.next(), kPublished[skipped]);
  }
}

TEST(Random, HasASequenceOfItsOwnForEveryNumber) {
  std::map<std::uint64_t, int> first;
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    for (std::uint64_t number = 0; number < 40; ++number) ++first[SplitMix64(seed, number).next()];
  EXPECT_EQ(first.size(), 40U * 40);
}

TEST(Random, IsUniformFromZeroToOne) {
  SplitMix64 random(2);
  constexpr int kDraws = 100'000;
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.uniform();
    ASSERT_TRUE(0 <= x && x < 1) << x;
    sum += x;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
}

// Also of a count that is no power of two and so large that a remainder would favour the small numbers two to one.
TEST(Random, DrawsEveryNumberBelowACountEquallyOften) {
  SplitMix64 random(3);
  constexpr int kDraws = 70'000;
  std::array<int, 7> times{};
  for (int i = 0; i < kDraws; ++i) ++times.at(random.below(times.size()));
  for (const int of_one : times) EXPECT_NEAR(of_one, kDraws / 7, 5 * std::sqrt(kDraws / 7.0));

  constexpr std::uint64_t kLarge = std::uint64_t{3} << 62;
  int small = 0;
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t drawn = random.below(kLarge);
    ASSERT_LT(drawn, kLarge);
    small += drawn < kLarge / 3 ? 1 : 0;
  }
  EXPECT_NEAR(small, kDraws / 3, 5 * std::sqrt(kDraws / 3.0));
  EXPECT_EQ(random.below(1), 0U);
}

TEST(Random, ShufflesIntoEveryOrderEquallyOften) {
  SplitMix64 random(4);
  constexpr int kDraws = 24'000;
  std::map<std::vector<int>, int> times;
  for (int i = 0; i < kDraws; ++i) {
    std::vector<int> items(4);
    std::iota(items.begin(), items.end(), 0);
    random.shuffle(items);
    ++times[items];
  }
  EXPECT_EQ(times.size(), 24U);
  for (const auto& [order, count] : times) EXPECT_NEAR(count, kDraws / 24, 5 * std::sqrt(kDraws / 24.0));
}

}  // namespace
}  // namespace attnlab

// The order of a run: permutations are permutations, rounds differ, and nothing but the number of the sequence is
// remembered.
#include <cmath>
#include <set>

#include "tasks/example_order.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

TEST(ExampleOrder, PermutesEveryCount) {
  for (const std::int64_t count : {1, 2, 3, 4, 5, 7, 16, 17, 100, 255, 256, 257, 1000, 5000})
    for (const std::uint64_t key : {0U, 1U, 77U}) {
      std::set<std::int64_t> images;
      for (std::int64_t index = 0; index < count; ++index) images.insert(permuted(index, count, key));
      EXPECT_EQ(static_cast<std::int64_t>(images.size()), count);
      EXPECT_EQ(*images.begin(), 0);
      EXPECT_EQ(*images.rbegin(), count - 1);
    }
}

// Every place is as likely for every index, over many keys: chi-square of 9 x 9 degrees of freedom.
TEST(ExampleOrder, PermutationsAreEven) {
  constexpr int kCount = 10, kKeys = 20'000;
  double counts[kCount][kCount] = {};
  for (int key = 0; key < kKeys; ++key)
    for (int index = 0; index < kCount; ++index) ++counts[index][permuted(index, kCount, key)];
  double chi_square = 0;
  for (const auto& row : counts)
    for (const double count : row) chi_square += std::pow(count - kKeys / kCount, 2) / (kKeys / kCount);
  EXPECT_LT(chi_square, 81 + 5 * std::sqrt(2 * 81.0));
}

TEST(ExampleOrder, TakesEveryExampleOnceARound) {
  const auto task = task_of("recall: {examples: 50}");
  std::vector<std::int64_t> rounds[3];
  for (int number = 0; number < 150; ++number)
    rounds[number / 50].push_back(example_index(*task, 1, Split::train, number));
  for (const auto& round : rounds) EXPECT_EQ(std::set<std::int64_t>(round.begin(), round.end()).size(), 50U);
  EXPECT_NE(rounds[0], rounds[1]);
  EXPECT_NE(rounds[1], rounds[2]);
  EXPECT_NE(rounds[0][0], 0 + 49) << "not the order of the indices";
  std::vector<std::int64_t> of_another_seed;
  for (int number = 0; number < 50; ++number) of_another_seed.push_back(example_index(*task, 2, Split::train, number));
  EXPECT_NE(rounds[0], of_another_seed);
}

TEST(ExampleOrder, OfEndlessTasksIsThatOfTheNumbers) {
  const auto task = task_of("recall");
  for (const std::int64_t number : {std::int64_t{0}, std::int64_t{7}, std::int64_t{1} << 40})
    EXPECT_EQ(example_index(*task, 3, Split::train, number), number);
}

}  // namespace
}  // namespace attnlab::tasks

#include "tasks/example_order.h"

#include <bit>

#include <attnlab/random.h>

namespace attnlab::tasks {
namespace {

constexpr std::uint64_t kOrderStream = 0x6f72646572;  // apart from the streams that examples are drawn from
constexpr int kFeistelRounds = 6;

}  // namespace

std::int64_t permuted(std::int64_t index, std::int64_t count, std::uint64_t key) {
  ATTNLAB_CHECK(index >= 0 && index < count, "an index outside of what is permuted");
  const auto end = static_cast<std::uint64_t>(count);
  const int half = (std::bit_width(end - 1) + 1) / 2;
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  auto image = static_cast<std::uint64_t>(index);
  do {
    std::uint64_t left = image >> half, right = image & mask;
    for (int round = 0; round < kFeistelRounds; ++round) {
      const std::uint64_t mixed =
          SplitMix64::mixed(key + SplitMix64::mixed(right + (static_cast<std::uint64_t>(round) << 56)));
      left = std::exchange(right, left ^ (mixed >> 32 & mask));
    }
    image = left << half | right;
  } while (image >= end);
  return static_cast<std::int64_t>(image);
}

std::int64_t example_index(const Task& task, std::uint64_t seed, Split split, std::int64_t number) {
  const std::int64_t count = task.examples(split);
  ATTNLAB_CHECK(number >= 0 && count > 0, "there is no such example");
  if (count == kEndless) return number;
  if (task.facts().is_sequential) return number % count;
  const auto round = static_cast<std::uint64_t>(number / count);
  SplitMix64 order(split == Split::train ? seed : 0, kOrderStream + static_cast<std::uint64_t>(split));
  return permuted(number % count, count, SplitMix64::mixed(order.next() + round));
}

}  // namespace attnlab::tasks

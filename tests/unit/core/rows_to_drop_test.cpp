// Which rows go, against the definition: an order of all rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

#include <attnlab/eviction.h>

namespace attnlab {
namespace {

std::vector<int> by_definition(const std::vector<double>& scores, const std::vector<Position>& positions, int keep,
                               Protect protect) {
  std::vector<Position> newest = positions;
  std::ranges::sort(newest, std::greater<>());
  newest.resize(std::min<std::size_t>(newest.size(), static_cast<std::size_t>(protect.recent)));
  const auto stays = [&](int row) {
    return positions[row] < protect.first || std::ranges::find(newest, positions[row]) != newest.end();
  };
  std::vector<int> order(positions.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](int a, int b) {
    return std::tuple(stays(a), scores[a], positions[a]) > std::tuple(stays(b), scores[b], positions[b]);
  });
  order.erase(order.begin(), order.begin() + std::min<std::ptrdiff_t>(keep, std::ssize(order)));
  std::ranges::sort(order);
  return order;
}

TEST(RowsToDrop, AreTheWorstByTheDefinition) {
  std::mt19937 random(5);
  constexpr double infinity = std::numeric_limits<double>::infinity();
  for (int rows = 1; rows <= 70; ++rows)
    for (int round = 0; round < 12; ++round) {
      std::vector<Position> positions(rows);
      std::iota(positions.begin(), positions.end(), round * 3);
      for (Position& position : positions) position += position > 20 ? 7 : 0;  // a gap
      if (round % 3 == 0) std::ranges::shuffle(positions, random);
      std::vector<double> scores(rows);
      for (double& score : scores) switch (random() % (round < 6 ? 4 : 40)) {  // many equal ones, or few
          case 0:
            score = 0;
            break;
          case 1:
            score = -0.0;
            break;
          case 2:
            score = random() % 2 == 0 ? infinity : -infinity;
            break;
          default:
            score = std::uniform_real_distribution<>(-1, 1)(random);
        }
      const Protect protect{.first = round % 4 == 0 ? 0 : 5, .recent = round % 5 == 0 ? 0 : rows / 2};
      for (const int keep : {rows - 1, rows / 2, 1, 0, rows})
        EXPECT_EQ(rows_to_drop(scores, positions, keep, protect), by_definition(scores, positions, keep, protect))
            << rows << " rows, round " << round << ", " << keep << " stay";
    }
}

TEST(RowsToDrop, TakesAProtectedRowWhereNoOtherIsThere) {
  const std::vector<Position> positions{3, 4, 5};
  EXPECT_EQ(rows_to_drop(std::vector<double>{2, 1, 3}, positions, 2, {.first = 10}), (std::vector<int>{1}));
  EXPECT_EQ(rows_to_drop(std::vector<double>{2, 1, 3}, positions, 2, {.recent = 3}), (std::vector<int>{1}));
}

}  // namespace
}  // namespace attnlab

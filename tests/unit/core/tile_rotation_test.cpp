#include "tiles/tile_rotation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include <attnlab/error.h>
#include <attnlab/scores.h>

#include "reference/streams.h"

namespace attnlab {
namespace {

using Order = TurnedPairs::Order;

// Pair j of the first `width` channels turns by position / (j + 1), and is stretched by 1.5 * 1.001^position.
class Turning final : public Rotation {
 public:
  Turning(int width, Order order) : pairs_{width, order} {}
  static double angle(int pair, double position) { return position / (1.0 + pair); }
  static double stretch(double position) { return 1.5 * std::pow(1.001, position); }
  [[nodiscard]] int first(int pair) const { return pairs_.order == Order::halves ? pair : 2 * pair; }
  [[nodiscard]] int second(int pair) const {
    return pairs_.order == Order::halves ? pair + pairs_.width / 2 : 2 * pair + 1;
  }
  void turn(double position, std::span<double> x) const {
    for (int pair = 0; pair < pairs_.width / 2; ++pair) {
      const double a = x[first(pair)], b = x[second(pair)];
      const double c = stretch(position) * std::cos(angle(pair, position));
      const double s = stretch(position) * std::sin(angle(pair, position));
      x[first(pair)] = a * c - b * s;
      x[second(pair)] = b * c + a * s;
    }
  }
  void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept override {
    EXPECT_EQ(args.side, RotateSide::key);
    for (std::int64_t row = 0; row < rows.extent(0); ++row)
      for (std::int64_t head = 0; head < rows.extent(1); ++head) {
        std::vector<double> x(&rows(row, head, 0), &rows(row, head, 0) + rows.extent(2));
        turn(args.positions[row], x);
        std::transform(x.begin(), x.end(), &rows(row, head, 0), [](double number) { return float(number); });
      }
  }
  TurnedPairs pairs() const noexcept override { return pairs_; }

 private:
  TurnedPairs pairs_;
};

std::vector<Position> following(Position first, int count) {
  std::vector<Position> positions(count);
  std::iota(positions.begin(), positions.end(), first);
  return positions;
}

struct Case {
  KvShape shape;
  int turned;
};

class EveryOrder : public testing::TestWithParam<Order> {};
INSTANTIATE_TEST_SUITE_P(TileRotation, EveryOrder, testing::Values(Order::halves, Order::neighbours),
                         [](const auto& info) { return info.param == Order::halves ? "halves" : "neighbours"; });

TEST_P(EveryOrder, TurnsEveryRowByItsOwnAngles) {
  const Case cases[] = {
      {{.kv_heads = 1, .key_dim = 64}, 64},
      {{.kv_heads = 1, .key_dim = 20}, 20},
      {{.kv_heads = 1, .key_dim = 64}, 24},                                              // a part of a head
      {{.kv_heads = 1, .key_dim = 40, .rotated_first = 24, .rotated_width = 16}, 16},    // the end of a key
      {{.kv_heads = 1, .key_dim = 32, .rotated_width = 16, .rotated_repeats = 2}, 12}};  // two turned parts
  for (const Case& c : cases)
    for (const Position first : {0, 77, 600}) {
      SCOPED_TRACE(c.shape.key_dim);
      const Turning turning(c.turned, GetParam());
      Scratch scratch;
      const TileRotation rotation(turning, c.shape, 1000, scratch);
      ASSERT_TRUE(rotation.turns(following(first, kTileRows)));
      const std::size_t size = static_cast<std::size_t>(c.shape.key_dim) * kTileRows;
      const std::vector<float> keys = reference::Stream(first + 1).normals(size);
      std::vector<float> turned(size), in_place = keys;
      TileRotation::First of_tiles = rotation.make_first(scratch);
      rotation.turn(first, of_tiles, keys.data(), turned.data());
      rotation.turn(first, of_tiles, in_place.data(), in_place.data());
      EXPECT_EQ(in_place, turned);
      for (int row = 0; row < kTileRows; ++row) {
        std::vector<double> x(c.shape.key_dim);
        for (int channel = 0; channel < c.shape.key_dim; ++channel) x[channel] = keys[channel * kTileRows + row];
        for (int part = 0; part < c.shape.rotated_repeats; ++part)
          turning.turn(first + row, std::span(x).subspan(c.shape.rotated_first + part * c.shape.rotation_width(),
                                                         c.shape.rotation_width()));
        for (int channel = 0; channel < c.shape.key_dim; ++channel)
          EXPECT_NEAR(turned[channel * kTileRows + row], x[channel], 2e-6 * Turning::stretch(first + row) * 4)
              << "row " << row << ", channel " << channel;
      }
    }
}

TEST_P(EveryOrder, MultipliesAFewQueriesWithTheSame) {
  const KvShape shape{.kv_heads = 1, .key_dim = 44, .rotated_first = 3, .rotated_width = 20, .rotated_repeats = 2};
  const Turning turning(16, GetParam());
  Scratch scratch;
  const TileRotation rotation(turning, shape, 1000, scratch);
  TileRotation::First of_tiles = rotation.make_first(scratch);
  for (int tile = 0; tile < 12; ++tile)  // one behind the other, so angles are put together
    for (const int rows : {1, 2, 3, 4}) {
      ASSERT_TRUE(rotation.multiplies(rows));
      reference::Stream stream(tile * 10 + rows);
      const std::vector<float> keys = stream.normals(std::int64_t{shape.key_dim} * kTileRows);
      const std::vector<float> queries = stream.normals(std::int64_t{rows} * shape.key_dim);
      std::vector<float> scores(static_cast<std::size_t>(rows) * kTileRows);
      rotation.multiply(7 + tile * kTileRows, of_tiles, keys.data(),
                        {.a = queries.data(),
                         .a_stride = shape.key_dim,
                         .out = scores.data(),
                         .out_stride = kTileRows,
                         .rows = rows,
                         .columns = kTileRows,
                         .depth = shape.key_dim,
                         .accumulate = false});
      for (int key = 0; key < kTileRows; ++key) {
        const double position = 7 + tile * kTileRows + key;
        std::vector<double> x(shape.key_dim);
        for (int channel = 0; channel < shape.key_dim; ++channel) x[channel] = keys[channel * kTileRows + key];
        for (const int first : {3, 23}) turning.turn(position, std::span(x).subspan(first, 20));
        for (int row = 0; row < rows; ++row)
          EXPECT_NEAR(scores[row * kTileRows + key],
                      std::inner_product(x.begin(), x.end(), queries.begin() + row * shape.key_dim, 0.0),
                      1e-5 * Turning::stretch(position) * 4);
      }
    }
  EXPECT_FALSE(rotation.multiplies(5));
}

TEST(TileRotation, IsOfPositionsThatFollowEachOther) {
  const Turning turning(16, Order::halves);
  Scratch scratch;
  const TileRotation rotation(turning, {.kv_heads = 1, .key_dim = 16}, 1000, scratch);
  EXPECT_TRUE(rotation.turns(following(9, 5)));
  EXPECT_TRUE(rotation.turns(following(9, 1)));
  EXPECT_FALSE(rotation.turns(std::vector<Position>{4, 5, 7}));
  EXPECT_FALSE(rotation.turns(std::vector<Position>{4, 3, 2}));
}

TEST(TileRotation, IsNotOfRotationsThatSayNothing) {
  const Turning turning(0, Order::halves);
  Scratch scratch;
  const TileRotation rotation(turning, {.kv_heads = 1, .key_dim = 16}, 1000, scratch);
  EXPECT_FALSE(rotation.turns(following(0, kTileRows)));
}

TEST(TileRotation, RefusesPairsThatAreNot) {
  Scratch scratch;
  for (const int width : {-2, 3, 18})
    EXPECT_THROW(TileRotation(Turning(width, Order::halves), {.kv_heads = 1, .key_dim = 16}, 1000, scratch), Error);
}

}  // namespace
}  // namespace attnlab

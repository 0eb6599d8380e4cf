// The position plugins against their formulas: rope with every scaling, the slopes of ALiBi, the sinusoidal table.
#include <cmath>
#include <ostream>

#include <gtest/gtest.h>

#include "reference/plugins.h"
#include "reference/rope_reference.h"

namespace attnlab {

namespace reference {
void PrintTo(const Rope& rope, std::ostream* out) {
  *out << rope.scaling << ", head_dim " << rope.head_dim << ", theta " << rope.theta << ", factor " << rope.factor
       << ", partial " << rope.partial << ", trained " << rope.trained();
}
}  // namespace reference

namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 44;

std::unique_ptr<PositionScheme> make_rope(const Rope& rope) {
  return plugins().position("rope", rope.options(),
                            {.heads = 2, .head_dim = rope.head_dim, .max_positions = rope.max_positions});
}

class EveryRope : public testing::TestWithParam<Rope> {};

INSTANTIATE_TEST_SUITE_P(
    Scalings, EveryRope,
    testing::Values(
        Rope{}, Rope{.head_dim = 8}, Rope{.head_dim = 128, .theta = 1e6}, Rope{.head_dim = 200},
        Rope{.head_dim = 300, .traditional = true},
        Rope{.head_dim = 264, .scaling = "dynamic", .factor = 2, .max_positions = 1000}, Rope{.traditional = true},
        Rope{.partial = 0.5}, Rope{.head_dim = 80, .traditional = true, .partial = 0.4}, Rope{.partial = 0},
        Rope{.scaling = "linear", .factor = 4}, Rope{.partial = 0.5, .scaling = "linear", .factor = 2.5},
        Rope{.scaling = "dynamic", .factor = 2, .max_positions = 1000},
        Rope{.head_dim = 128, .scaling = "dynamic", .factor = 8, .original = 500, .max_positions = 4000},
        Rope{.partial = 0.5, .scaling = "dynamic", .factor = 1, .max_positions = 64},
        Rope{.head_dim = 128,
             .theta = 500000,
             .scaling = "llama3",
             .factor = 8,
             .original = 8192,
             .max_positions = 131072},
        Rope{.theta = 500000, .scaling = "llama3", .factor = 32, .original = 2048, .low = 2, .high = 8},
        Rope{.head_dim = 128, .theta = 1e6, .scaling = "yarn", .factor = 4, .original = 32768, .max_positions = 131072},
        Rope{.traditional = true,
             .scaling = "yarn",
             .factor = 40,
             .original = 4096,
             .beta_fast = 16,
             .beta_slow = 2,
             .attention_factor = 1.3},
        Rope{.scaling = "yarn", .factor = 16, .original = 128, .mscale = 1, .mscale_all_dim = 1},
        Rope{.scaling = "yarn", .factor = 40, .original = 256, .mscale = 0.707, .mscale_all_dim = 1.2},
        Rope{.scaling = "yarn", .factor = 40, .original = 256, .mscale = 0.707},
        Rope{.scaling = "yarn", .factor = 32, .original = 256, .truncate = false},
        Rope{.head_dim = 8, .theta = 100, .scaling = "yarn", .factor = 2, .original = 8}));

// Positions inside and outside of every table, lengths up to and beyond what was trained.
TEST_P(EveryRope, TurnsQueriesAndKeysAsItsFormulaSays) {
  const Rope& rope = GetParam();
  const auto scheme = make_rope(rope);
  ASSERT_NE(scheme->rotation(), nullptr);
  EXPECT_EQ(scheme->score_bias(), nullptr);
  Stream stream(kSeed);
  std::vector<Position> positions{0, 1, 2, 63, 999, 1000, 3999, 4000, 4095, 4096, 8191, 8192, 20000, 130000};
  // Some that follow each other, as the rows of a cache do, also where a table ends.
  for (Position position = 8100; position < 8300; ++position) positions.push_back(position);
  for (const Position length : {1, 500, 501, 1000, 1001, 5000, 131072})
    for (const RotateSide side : {RotateSide::query, RotateSide::key}) {
      constexpr int kHeads = 3;
      std::vector<float> rows = stream.normals(static_cast<std::int64_t>(positions.size()) * kHeads * rope.head_dim);
      std::vector<double> right(rows.begin(), rows.end());
      for (std::size_t row = 0; row < positions.size() * kHeads; ++row)
        rope.turn(std::span(right).subspan(row * rope.head_dim, rope.head_dim), positions[row / kHeads],
                  rope.frequencies(length));
      scheme->rotation()->rotate({positions, length, side}, rows_view(rows, kHeads, rope.head_dim));
      // Cosine, two products and their sum are rounded.
      EXPECT_LT(normalised_error(rows, right), 4 * kRounding) << "length " << length << ", seed " << kSeed;
    }
}

TEST_P(EveryRope, MakesScoresDependOnTheDistanceOnly) {
  const Rope& rope = GetParam();
  const auto scheme = make_rope(rope);
  Stream stream(kSeed);
  const std::vector<float> query = stream.normals(rope.head_dim);
  const std::vector<float> key = stream.normals(rope.head_dim);
  const auto score = [&](Position query_at, Position key_at) {
    std::vector<float> q = query;
    std::vector<float> k = key;
    scheme->rotation()->rotate({{&query_at, 1}, 6000, RotateSide::query}, rows_view(q, 1, rope.head_dim));
    scheme->rotation()->rotate({{&key_at, 1}, 6000, RotateSide::key}, rows_view(k, 1, rope.head_dim));
    double sum = 0;
    for (int i = 0; i < rope.head_dim; ++i) sum += static_cast<double>(q[i]) * k[i];
    return sum;
  };
  for (const Position distance : {0, 1, 10, 1000})
    for (const Position shift : {1, 77, 5000})
      EXPECT_NEAR(score(distance + shift, shift), score(distance, 0), 16 * kRounding * rope.head_dim)
          << distance << " apart, shifted by " << shift << ", seed " << kSeed;
}

TEST(Rope, RefusesAnOddNumberOfRotatedChannels) {
  EXPECT_THROW(make_rope({.head_dim = 10, .partial = 0.5}), Error);
  EXPECT_THROW(make_rope({.head_dim = 7}), Error);
}

TEST(Rope, SaysThatOnlyDynamicScalingDependsOnTheLength) {
  const Descriptor& rope = plugins().get(Kind::position, "rope", "");
  for (const std::string scaling : {"none", "linear", "dynamic", "llama3", "yarn"})
    EXPECT_EQ(
        plugins().traits(rope, Rope{.scaling = scaling}.options()).provides.has(Feature::length_dependent_rotation),
        scaling == "dynamic")
        << scaling;
}

// As in the authors' code: a geometric series that starts at 2^(-8/n); for other counts than powers of two the series
// of the next smaller power, then every other slope of the series for twice that many.
std::vector<double> alibi_slopes(int heads) {
  const double power = std::log2(heads);
  std::vector<double> slopes;
  if (power == std::floor(power)) {
    const double start = std::pow(2.0, -std::pow(2.0, -(power - 3)));
    for (int head = 0; head < heads; ++head) slopes.push_back(start * std::pow(start, head));
    return slopes;
  }
  const int closest = 1 << static_cast<int>(std::floor(power));
  slopes = alibi_slopes(closest);
  const std::vector<double> finer = alibi_slopes(2 * closest);
  for (std::size_t i = 0; slopes.size() < static_cast<std::size_t>(heads); i += 2) slopes.push_back(finer[i]);
  return slopes;
}

TEST(Alibi, PenalisesDistanceWithTheSlopesOfThePaper) {
  for (const int heads : {1, 2, 3, 6, 8, 12, 20}) {
    const std::vector<double> slopes = alibi_slopes(heads);
    const auto scheme = plugins().position("alibi", {}, {.heads = heads, .head_dim = 16});
    ASSERT_NE(scheme->score_bias(), nullptr);
    EXPECT_EQ(scheme->rotation(), nullptr);
    const std::vector<Position> queries{0, 5, 100, 4000};
    const std::vector<Position> keys{0, 3, 7, 99, 5, 2048};
    for (const int group : {1, 2, 3}) {
      if (heads % group != 0) continue;
      for (int first = 0; first < heads; first += group) {
        std::vector<float> scores = Stream(kSeed + first).normals(group * queries.size() * keys.size());
        const std::vector<float> before = scores;
        const auto members = static_cast<std::int64_t>(queries.size());
        const auto rows = static_cast<std::int64_t>(keys.size());
        ScoreTile tile{{scores.data(), {group, members, rows}}, queries, keys, first};
        scheme->score_bias()->apply(tile);
        std::size_t i = 0;
        for (int member = 0; member < group; ++member)
          for (const Position query : queries)
            for (const Position key : keys) {
              const double penalty = slopes[first + member] * (query - key);
              EXPECT_NEAR(scores[i], before[i] - penalty, 3 * kRounding * (std::abs(penalty) + std::abs(before[i])))
                  << "head " << first + member << " of " << heads << ", " << query << " to " << key;
              ++i;
            }
      }
    }
  }
}

TEST(Sinusoidal, AddsSinesAndCosinesOfThePositionToEmbeddings) {
  for (const int hidden_dim : {2, 6, 7, 64, 512}) {
    const auto scheme =
        plugins().position("sinusoidal", {}, {.hidden_dim = hidden_dim, .heads = 2, .max_positions = 5001});
    EXPECT_EQ(scheme->rotation(), nullptr);
    EXPECT_EQ(scheme->score_bias(), nullptr);
    EXPECT_EQ(scheme->max_positions(), 5001);
    const std::vector<Position> positions{0, 1, 2, 77, 5000, 3};
    std::vector<float> embeddings = Stream(kSeed).normals(std::int64_t{6} * hidden_dim);
    const std::vector<float> before = embeddings;
    scheme->add_to_embeddings(positions, matrix_view(embeddings, hidden_dim));
    for (std::size_t i = 0; i < embeddings.size(); ++i) {
      const auto channel = static_cast<double>(i % hidden_dim);
      const double pair = std::floor(channel / 2);
      const double angle = positions[i / hidden_dim] / std::pow(10000, 2 * pair / hidden_dim);
      const double added = channel == 2 * pair ? std::sin(angle) : std::cos(angle);
      EXPECT_NEAR(embeddings[i], before[i] + added, 2 * kRounding * (std::abs(before[i]) + 1))
          << "position " << positions[i / hidden_dim] << ", channel " << channel << " of " << hidden_dim;
    }
  }
}

TEST(NoPositions, ChangeNothing) {
  const auto scheme = plugins().position("none", {}, {.hidden_dim = 16, .heads = 2, .head_dim = 8});
  EXPECT_EQ(scheme->rotation(), nullptr);
  EXPECT_EQ(scheme->score_bias(), nullptr);
  EXPECT_EQ(scheme->max_positions(), 0);
  std::vector<float> embeddings = Stream(kSeed).normals(32);
  const std::vector<float> before = embeddings;
  scheme->add_to_embeddings(std::vector<Position>{4, 9}, matrix_view(embeddings, 16));
  EXPECT_TRUE(same_bits(embeddings, before));
}

}  // namespace
}  // namespace attnlab

// The learned and the newer position schemes against their formulas: table, T5's buckets, KERPLE, xPos, and rope with
// the scalings ntk and longrope. rope's other scalings, ALiBi and the sinusoids: position_plugins_test.
#include <cmath>
#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "model/checkpoints/safetensors.h"
#include "reference/plugins.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 58;

// A scheme with its parameters bound. Values by name; they must be all that the scheme declares.
struct Bound {
  Bound(const std::string& id, const OptionValues& options, const CreateContext& context,
        std::map<std::string, std::vector<float>> values_)
      : values(std::move(values_)), scheme(plugins().position(id, options, context)) {
    ParameterSet set;
    for (const ParameterSpec& parameter : scheme->parameters()) {
      EXPECT_EQ(parameter.form, ParameterForm::values);
      std::int64_t count = 1;
      for (const std::int64_t extent : parameter.shape) count *= extent;
      EXPECT_EQ(static_cast<std::int64_t>(values.at(parameter.name).size()), count) << parameter.name;
      set.add(parameter.name, values.at(parameter.name));
    }
    EXPECT_EQ(scheme->parameters().size(), values.size());
    scheme->bind(set);
  }
  std::map<std::string, std::vector<float>> values;
  std::unique_ptr<PositionScheme> scheme;
};

// What the hook of a scheme adds, against `bias(head, distance)`, for groups of heads and distances of all sizes. Where
// the key is after the query, any finite number is right, since the score is masked later.
template <class Bias>
void expect_bias(const ScoreHook& hook, int heads, const Bias& bias) {
  const std::vector<Position> queries{0, 5, 31, 100, 4000, 20000};
  const std::vector<Position> keys{0, 3, 7, 99, 5, 31, 2048, 3990};
  for (const int group : {1, 2, heads})
    for (int first = 0; first < heads; first += group) {
      const auto members = static_cast<std::int64_t>(queries.size());
      const auto rows = static_cast<std::int64_t>(keys.size());
      // The rows of a query are dense, but those of the next head or query may be anywhere.
      const std::int64_t pitch = rows + 3;
      std::vector<float> scores = Stream(kSeed + first).normals(group * members * pitch);
      const std::vector<float> before = scores;
      ScoreTile tile{{scores.data(), {group, members, rows}, {pitch, group * pitch, 1}}, queries, keys, first};
      hook.apply(tile);
      for (int member = 0; member < group; ++member)
        for (std::int64_t query = 0; query < members; ++query)
          for (std::int64_t row = 0; row < pitch; ++row) {
            const std::int64_t at = query * group * pitch + member * pitch + row;
            if (row >= rows) {
              EXPECT_EQ(scores[at], before[at]) << "past the rows of the tile";
              continue;
            }
            const Position distance = queries[query] - keys[row];
            if (distance < 0) {
              EXPECT_TRUE(std::isfinite(scores[at]));
              continue;
            }
            const double right = bias(first + member, distance);
            EXPECT_NEAR(scores[at], before[at] + right, 3 * kRounding * (std::abs(right) + std::abs(before[at])))
                << "head " << first + member << " of " << heads << ", distance " << distance;
          }
    }
}

TEST(Learned, AddsTheRowOfEachPositionToItsEmbedding) {
  constexpr int kWidth = 20;
  constexpr int kPositions = 300;
  const std::vector<float> table = Stream(kSeed).normals(kPositions * kWidth);
  const Bound learned("learned", {}, {.hidden_dim = kWidth, .heads = 2, .max_positions = kPositions},
                      {{"model.embed_positions.weight", table}});
  EXPECT_EQ(learned.scheme->parameters()[0].scope, ParameterScope::model);
  EXPECT_EQ(learned.scheme->rotation(), nullptr);
  EXPECT_EQ(learned.scheme->score_bias(), nullptr);
  EXPECT_EQ(learned.scheme->max_positions(), kPositions);
  const std::vector<Position> positions{0, 1, 7, 299, 7};
  std::vector<float> embeddings = Stream(kSeed + 1).normals(5 * kWidth);
  const std::vector<float> before = embeddings;
  learned.scheme->add_to_embeddings(positions, matrix_view(embeddings, kWidth));
  for (std::size_t i = 0; i < embeddings.size(); ++i)
    EXPECT_EQ(embeddings[i], before[i] + table[positions[i / kWidth] * kWidth + i % kWidth]);
}

TEST(Learned, RefusesAPositionPastItsTable) {
  const Bound learned("learned", {}, {.hidden_dim = 4, .heads = 2, .max_positions = 8},
                      {{"model.embed_positions.weight", std::vector<float>(32)}});
  std::vector<float> embedding(4);
  learned.scheme->add_to_embeddings(std::vector<Position>{7}, matrix_view(embedding, 4));
  EXPECT_THROW(learned.scheme->add_to_embeddings(std::vector<Position>{8}, matrix_view(embedding, 4)), Error);
}

// The definition for 32 buckets up to 128, as it is written.
int t5_bucket(int distance) {
  if (distance < 16) return distance;
  return std::min(31, 16 + static_cast<int>(std::floor(std::log(distance / 16.0) / std::log(8.0) * 16)));
}

TEST(T5, HasTheBucketsOfTheGolden) {
  const model::SafetensorsFile golden =
      model::SafetensorsFile::open(ATTNLAB_TEST_DATA_DIR "/fixtures/plugins/models/position-t5/golden.safetensors");
  const model::TensorInfo* info = golden.find("t5_bucket");
  ASSERT_NE(info, nullptr);
  std::vector<std::int32_t> buckets(static_cast<std::size_t>(info->elements()));
  std::memcpy(buckets.data(), golden.bytes(*info).data(), info->bytes);
  std::vector<float> table(32);
  for (int i = 0; i < 32; ++i) table[i] = static_cast<float>(i);
  const Bound t5("t5", {}, {.heads = 1}, {{"relative_attention_bias.weight", table}});
  const Position query = 300;
  for (Position distance = 0; distance <= 300; ++distance) {
    const Position key = query - distance;
    float score = 0;
    ScoreTile tile{{&score, {1, 1, 1}}, {&query, 1}, {&key, 1}, 0};
    t5.scheme->score_bias()->apply(tile);
    EXPECT_EQ(score, static_cast<float>(buckets[distance])) << "distance " << distance;
    EXPECT_EQ(t5_bucket(distance), buckets[distance]) << "distance " << distance;
  }
}

TEST(T5, AddsTheBiasOfTheBucketOfEachHead) {
  for (const int heads : {2, 6}) {
    const std::vector<float> table = Stream(kSeed).normals(32 * heads);
    const Bound t5("t5", {}, {.heads = heads}, {{"relative_attention_bias.weight", table}});
    EXPECT_EQ(t5.scheme->rotation(), nullptr);
    expect_bias(*t5.scheme->score_bias(), heads,
                [&](int head, Position distance) { return table[t5_bucket(distance) * heads + head]; });
  }
}

TEST(T5, PutsDistancesOnAnEdgeIntoTheUpperBucket) {
  // 10 buckets up to 160: 0 1 2 3 4, and then one for each doubling from 5 on. The quotients of logarithms are just
  // below the whole numbers here.
  std::vector<float> table(10);
  for (int i = 0; i < 10; ++i) table[i] = static_cast<float>(i);
  const Bound t5("t5", {{"buckets", std::int64_t{10}}, {"max_distance", std::int64_t{160}}}, {.heads = 1},
                 {{"relative_attention_bias.weight", table}});
  const std::vector<Position> distances{0, 1, 4, 5, 9, 10, 19, 20, 39, 40, 79, 80, 159, 160, 1000};
  const std::vector<float> buckets{0, 1, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 9, 9};
  for (std::size_t i = 0; i < distances.size(); ++i) {
    const Position query = 1000;
    const Position key = query - distances[i];
    float score = 0;
    ScoreTile tile{{&score, {1, 1, 1}}, {&query, 1}, {&key, 1}, 0};
    t5.scheme->score_bias()->apply(tile);
    EXPECT_EQ(score, buckets[i]) << "distance " << distances[i];
  }
}

TEST(T5, RefusesAMaxDistanceInsideTheExactBuckets) {
  Problems problems;
  plugins().check(plugins().get(Kind::position, "t5", ""), {{"max_distance", std::int64_t{16}}}, problems);
  ASSERT_EQ(problems.entries().size(), 1U);
  EXPECT_EQ(problems.entries()[0].option, "max_distance");
}

std::vector<float> positive(int count, std::uint64_t seed) {
  std::vector<float> values = Stream(seed).normals(count);
  for (float& value : values) value = std::abs(value) + 0.01F;
  return values;
}

TEST(Kerple, PenalisesTheLogarithmOfTheDistance) {
  constexpr int kHeads = 6;
  const std::vector<float> r1 = positive(kHeads, kSeed);
  const std::vector<float> r2 = positive(kHeads, kSeed + 1);
  // Distances inside and outside of every table.
  for (const int max_positions : {1, 64, 5000, 100000}) {
    const Bound kerple("kerple", {}, {.heads = kHeads, .max_positions = max_positions},
                       {{"kerple_r1", r1}, {"kerple_r2", r2}});
    EXPECT_EQ(kerple.scheme->rotation(), nullptr);
    expect_bias(*kerple.scheme->score_bias(), kHeads, [&](int head, Position distance) {
      return -static_cast<double>(r1[head]) * std::log(1 + static_cast<double>(r2[head]) * distance);
    });
  }
}

TEST(Kerple, RefusesWhatIsNotPositiveNamingTensorAndHead) {
  for (const char* name : {"kerple_r1", "kerple_r2"})
    for (const float bad : {0.0F, -0.5F, std::numeric_limits<float>::quiet_NaN()}) {
      std::map<std::string, std::vector<float>> values{{"kerple_r1", {1, 1, 1}}, {"kerple_r2", {1, 1, 1}}};
      values[name][2] = bad;
      try {
        const Bound kerple("kerple", {}, {.layer = 3, .heads = 3, .max_positions = 16}, values);
        FAIL() << bad << " in " << name << " was taken";
      } catch (const Error& error) {
        const std::string text = error.what();
        EXPECT_NE(text.find("model.layers.3.self_attn." + std::string(name)), std::string::npos) << text;
        EXPECT_NE(text.find("head 2"), std::string::npos) << text;
      }
    }
}

TEST(Kerple, StartsAtOnesWithoutACheckpoint) {
  for (const ParameterSpec& parameter : plugins().position("kerple", {}, {.heads = 4})->parameters())
    EXPECT_EQ(parameter.init, Init::ones) << parameter.name;
}

struct Xpos {
  int head_dim = 16;
  double theta = 10000;
  bool traditional = false;
  double gamma = 0.4;
  double scale_base = 512;

  [[nodiscard]] OptionValues options() const {
    return {{"theta", theta}, {"traditional", traditional}, {"gamma", gamma}, {"scale_base", scale_base}};
  }
  [[nodiscard]] std::unique_ptr<PositionScheme> scheme(int max_positions = 512) const {
    return plugins().position("xpos", options(), {.heads = 2, .head_dim = head_dim, .max_positions = max_positions});
  }
  // Rope, then zeta^(p / base) for queries and its inverse for keys.
  void turn(std::span<double> x, Position position, RotateSide side) const {
    const int pairs = head_dim / 2;
    for (int m = 0; m < pairs; ++m) {
      double& a = x[traditional ? 2 * m : m];
      double& b = x[traditional ? 2 * m + 1 : m + pairs];
      const double zeta = (2 * m + gamma * head_dim) / ((1 + gamma) * head_dim);
      const double factor = std::pow(zeta, (side == RotateSide::query ? 1 : -1) * position / scale_base);
      const double angle = position * std::pow(theta, -2.0 * m / head_dim);
      const double turned = factor * (a * std::cos(angle) - b * std::sin(angle));
      b = factor * (b * std::cos(angle) + a * std::sin(angle));
      a = turned;
    }
  }
};

const std::vector<Xpos> kXpos{{},
                              {.head_dim = 64},
                              {.head_dim = 200},
                              {.head_dim = 300, .traditional = true},
                              {.traditional = true},
                              {.theta = 500, .gamma = 0.1, .scale_base = 2000}};

TEST(Xpos, TurnsAndShrinksQueriesAndKeysAsItsFormulaSays) {
  const std::vector<Position> positions{0, 1, 63, 511, 512, 4000, 8191, 8192, 15000};
  for (const Xpos& xpos : kXpos)
    for (const int max_positions : {64, 512, 20000}) {
      const auto scheme = xpos.scheme(max_positions);
      EXPECT_EQ(scheme->score_bias(), nullptr);
      Stream stream(kSeed);
      for (const RotateSide side : {RotateSide::query, RotateSide::key}) {
        constexpr int kHeads = 3;
        for (const Position position : positions) {
          std::vector<float> rows = stream.normals(kHeads * xpos.head_dim);
          std::vector<double> right(rows.begin(), rows.end());
          for (int head = 0; head < kHeads; ++head)
            xpos.turn(std::span(right).subspan(head * xpos.head_dim, xpos.head_dim), position, side);
          scheme->rotation()->rotate({{&position, 1}, 20000, side}, rows_view(rows, kHeads, xpos.head_dim));
          EXPECT_LT(normalised_error(rows, right), 4 * kRounding)
              << "position " << position << ", head_dim " << xpos.head_dim << ", seed " << kSeed;
        }
      }
    }
}

TEST(Xpos, TurnsRowsThatFollowEachOtherAsEachByItself) {
  std::vector<Position> positions(300);
  std::iota(positions.begin(), positions.end(), 8100);  // a table ends among them
  for (const Xpos& xpos : kXpos)
    for (const RotateSide side : {RotateSide::query, RotateSide::key}) {
      const auto scheme = xpos.scheme(20000);
      Stream stream(kSeed);
      std::vector<float> rows = stream.normals(static_cast<std::int64_t>(positions.size()) * xpos.head_dim);
      const std::vector<float> before = rows;
      scheme->rotation()->rotate({positions, 20000, side}, rows_view(rows, 1, xpos.head_dim));
      for (std::size_t i = 0; i < positions.size(); ++i) {
        const std::span<const float> found = std::span(rows).subspan(i * xpos.head_dim, xpos.head_dim);
        const std::span<const float> plain = std::span(before).subspan(i * xpos.head_dim, xpos.head_dim);
        std::vector<double> right(plain.begin(), plain.end());
        xpos.turn(right, positions[i], side);
        EXPECT_LT(normalised_error<double>(found, right), 4 * kRounding)
            << "position " << positions[i] << ", head_dim " << xpos.head_dim << ", seed " << kSeed;
      }
    }
}

TEST(Xpos, MakesScoresDependOnTheDistanceOnly) {
  const Xpos xpos;
  const auto scheme = xpos.scheme();
  Stream stream(kSeed);
  const std::vector<float> query = stream.normals(xpos.head_dim);
  const std::vector<float> key = stream.normals(xpos.head_dim);
  const auto score = [&](Position query_at, Position key_at) {
    std::vector<float> q = query;
    std::vector<float> k = key;
    scheme->rotation()->rotate({{&query_at, 1}, 9000, RotateSide::query}, rows_view(q, 1, xpos.head_dim));
    scheme->rotation()->rotate({{&key_at, 1}, 9000, RotateSide::key}, rows_view(k, 1, xpos.head_dim));
    double sum = 0;
    for (int i = 0; i < xpos.head_dim; ++i) sum += static_cast<double>(q[i]) * k[i];
    return sum;
  };
  for (const Position distance : {0, 1, 10, 1000})
    for (const Position shift : {1, 77, 5000})
      EXPECT_NEAR(score(distance + shift, shift), score(distance, 0), 16 * kRounding * xpos.head_dim)
          << distance << " apart, shifted by " << shift << ", seed " << kSeed;
}

TEST(Xpos, EndsBeforeKeysLeaveTheRangeOfFloats) {
  for (const Xpos& xpos : kXpos) {
    const auto scheme = xpos.scheme();
    const Position last = scheme->max_positions() - 1;
    EXPECT_GT(last, 20000);
    for (const RotateSide side : {RotateSide::query, RotateSide::key}) {
      std::vector<float> ones(xpos.head_dim, 1);
      scheme->rotation()->rotate({{&last, 1}, last + 1, side}, rows_view(ones, 1, xpos.head_dim));
      for (const float value : ones) EXPECT_TRUE(std::isnormal(value)) << value << " at position " << last;
    }
  }
}

TEST(Xpos, RefusesAnOddNumberOfChannels) {
  EXPECT_THROW(Xpos{.head_dim = 7}.scheme(), Error);
}

// One rope scaling, turned by its formula.
struct Turned {
  std::vector<double> frequencies;
  double magnitude = 1;
};

void expect_turned(const PositionScheme& scheme, int head_dim, Position length, const Turned& right) {
  Stream stream(kSeed);
  const std::vector<Position> positions{0, 1, 63, 64, 255, 256, 4096, 9000};
  std::vector<float> rows = stream.normals(static_cast<std::int64_t>(positions.size()) * head_dim);
  std::vector<double> turned(rows.begin(), rows.end());
  const int pairs = head_dim / 2;
  for (std::size_t row = 0; row < positions.size(); ++row)
    for (int m = 0; m < pairs; ++m) {
      double& a = turned[row * head_dim + m];
      double& b = turned[row * head_dim + m + pairs];
      const double angle = positions[row] * right.frequencies[m];
      const double first = right.magnitude * (a * std::cos(angle) - b * std::sin(angle));
      b = right.magnitude * (b * std::cos(angle) + a * std::sin(angle));
      a = first;
    }
  scheme.rotation()->rotate({positions, length, RotateSide::key}, rows_view(rows, 1, head_dim));
  EXPECT_LT(normalised_error(rows, turned), 4 * kRounding) << "length " << length << ", seed " << kSeed;
}

TEST(NtkRope, StretchesThetaAtEveryLength) {
  for (const int head_dim : {8, 16, 128}) {
    const auto rope = plugins().position("rope", {{"scaling", std::string("ntk")}, {"factor", 4.0}},
                                         {.heads = 2, .head_dim = head_dim, .max_positions = 512});
    Turned right;
    const double d = head_dim;
    for (int m = 0; m < head_dim / 2; ++m)
      right.frequencies.push_back(std::pow(10000 * std::pow(4, d / (d - 2)), -2 * m / d));
    for (const Position length : {1, 512, 513, 10000}) expect_turned(*rope, head_dim, length, right);
  }
}

TEST(NtkRope, NeedsMoreThanOnePair) {
  EXPECT_THROW(static_cast<void>(plugins().position("rope", {{"scaling", std::string("ntk")}, {"factor", 4.0}},
                                                    {.heads = 2, .head_dim = 2, .max_positions = 64})),
               Error);
}

const std::vector<double> kShort{1, 1.05, 1.1, 1.6};
const std::vector<double> kLong{1, 2, 3.5, 5};

OptionValues longrope(OptionValues more = {}) {
  more.insert({{"scaling", std::string("longrope")},
               {"short_factor", kShort},
               {"long_factor", kLong},
               {"original_max_position_embeddings", std::int64_t{64}}});
  return more;
}

TEST(LongRope, TakesTheLongFactorsForEveryPositionOfALongerSequence) {
  const auto rope = plugins().position("rope", longrope(), {.heads = 2, .head_dim = 8, .max_positions = 256});
  Turned within{.magnitude = std::sqrt(1 + std::log(4) / std::log(64))};
  Turned beyond{.magnitude = within.magnitude};
  for (int m = 0; m < 4; ++m) {
    within.frequencies.push_back(std::pow(10000, -m / 4.0) / kShort[m]);
    beyond.frequencies.push_back(std::pow(10000, -m / 4.0) / kLong[m]);
  }
  for (const Position length : {1, 63, 64}) expect_turned(*rope, 8, length, within);
  for (const Position length : {65, 256, 10000}) expect_turned(*rope, 8, length, beyond);
}

TEST(LongRope, ScalesByTheFactorThatIsGivenElseByTheStretchOfTheModel) {
  const auto magnitude = [](const OptionValues& options, int max_positions) {
    const auto rope = plugins().position("rope", options, {.heads = 2, .head_dim = 8, .max_positions = max_positions});
    std::vector<float> x(8, 1);
    const Position start = 0;
    rope->rotation()->rotate({{&start, 1}, 1, RotateSide::query}, rows_view(x, 1, 8));
    return x[0];
  };
  const auto of_stretch = [](double stretch) {
    return static_cast<float>(std::sqrt(1 + std::log(stretch) / std::log(64)));
  };
  EXPECT_EQ(magnitude(longrope(), 256), of_stretch(4));
  EXPECT_EQ(magnitude(longrope(), 64), 1) << "no stretch";
  EXPECT_EQ(magnitude(longrope(), 32), 1) << "a stretch below 1";
  EXPECT_EQ(magnitude(longrope({{"factor", 8.0}}), 256), of_stretch(8));
  EXPECT_EQ(magnitude(longrope({{"factor", 1.0}}), 256), 1) << "a factor of 1 is a factor";
  EXPECT_EQ(magnitude(longrope({{"factor", 8.0}, {"attention_factor", 1.5}}), 256), 1.5F);
}

TEST(LongRope, DependsOnTheLength) {
  const Descriptor& rope = plugins().get(Kind::position, "rope", "");
  EXPECT_TRUE(plugins().traits(rope, longrope()).provides.has(Feature::length_dependent_rotation));
  EXPECT_FALSE(plugins()
                   .traits(rope, {{"scaling", std::string("ntk")}, {"factor", 4.0}})
                   .provides.has(Feature::length_dependent_rotation));
}

TEST(LongRope, RefusesFactorsThatAreMissingOrNotPositiveOrOfAnotherNumber) {
  const Descriptor& rope = plugins().get(Kind::position, "rope", "");
  const auto problems_of = [&](const OptionValues& options) {
    Problems problems;
    plugins().check(rope, options, problems);
    std::string names;
    for (const Problems::Entry& entry : problems.entries()) names += entry.option + " ";
    return names;
  };
  EXPECT_EQ(problems_of(longrope()), "");
  EXPECT_EQ(problems_of({{"scaling", std::string("longrope")}}), "short_factor long_factor ");
  EXPECT_EQ(problems_of(longrope({{"long_factor", std::vector<double>{1, 0, 1, 1}}})), "long_factor ");
  EXPECT_EQ(problems_of({{"scaling", std::string("linear")}, {"factor", 0.5}}), "factor ");
  EXPECT_EQ(problems_of({{"scaling", std::string("linear")}, {"factor", 1.0}}), "");
  EXPECT_THROW(
      static_cast<void>(plugins().position("rope", longrope(), {.heads = 2, .head_dim = 16, .max_positions = 256})),
      Error)
      << "4 numbers for 8 pairs";
}

TEST(PositionSchemes, DeclareWhereTheyAct) {
  const auto provides = [](const std::string& id) {
    return plugins().traits(plugins().get(Kind::position, id, ""), {}).provides;
  };
  EXPECT_TRUE(provides("learned").has(Feature::embedded_positions));
  for (const std::string id : {"t5", "kerple", "alibi"}) EXPECT_TRUE(provides(id).has(Feature::score_bias)) << id;
  for (const std::string id : {"learned", "xpos", "rope", "none"})
    EXPECT_FALSE(provides(id).has(Feature::score_bias)) << id;
  for (const std::string id : {"t5", "kerple", "xpos", "none"})
    EXPECT_FALSE(provides(id).has(Feature::embedded_positions)) << id;
}

}  // namespace
}  // namespace attnlab

// Contextual positions in the core, against their definition in double precision: for every query and key the gates of
// all keys between them, the two rows of the table, the softmax with everything that may stand beside it; outputs,
// log_sums and mass. The scheme in a model: golden/family_layers_test; its derivative: steps/recording_steps_test.
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "core/attend_reference.h"
#include "reference/attend_case.h"
#include "reference/plugins.h"
#include "reference/variant_reference.h"
#include "steps/direct_steps.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 515;
constexpr int kPositions = 9;
constexpr double kLowest = -std::numeric_limits<double>::infinity();

AttendCase make_case(int index) {
  Stream stream(kSeed + index);
  return {ragged_shape(index, stream), stream};
}

struct BoundCope {
  explicit BoundCope(int width)
      : table(Stream(kSeed).normals(std::int64_t{kPositions} * width)),
        scheme(plugins().position("cope", {{"positions", std::int64_t{kPositions}}}, {.head_dim = width})) {
    ParameterSet set;
    set.add("cope_pos_emb", table);
    scheme->bind(set);
  }
  [[nodiscard]] const RowBias* bias() const { return scheme->row_bias(); }

  std::vector<float> table;  // [positions, width]
  std::unique_ptr<PositionScheme> scheme;
};

struct Right {
  std::vector<double> out;                // [tokens, heads, value_dim]
  std::vector<double> log_sums;           // [tokens, heads]
  std::vector<std::vector<double>> mass;  // [sequences x kv_heads][rows]
  double largest_score = 0;
};

// The position of the key of row `row`, of a query whose scores are `scores`, -infinity where it sees nothing.
double position_of(std::span<const double> scores, std::span<const Position> keys, std::size_t row) {
  double position = 0;
  for (std::size_t l = 0; l < keys.size(); ++l)
    if (scores[l] != kLowest && keys[l] >= keys[row]) position += 1 / (1 + std::exp(-scores[l]));
  return std::min(position, kPositions - 1.0);
}

// What is added for it.
template <class Number>
double added(std::span<const double> scores, std::span<const Position> keys, std::size_t row, const Number* query,
             const std::vector<Number>& table) {
  const std::size_t width = table.size() / kPositions;
  const double position = position_of(scores, keys, row);
  const auto product = [&](double at) {
    return std::inner_product(query, query + width, table.begin() + static_cast<std::ptrdiff_t>(at * width), 0.0);
  };
  const double part = position - std::floor(position);
  return part * product(std::ceil(position)) + (1 - part) * product(std::floor(position));
}

Right answers(const AttendCase& c, const std::vector<float>& table, Position window, const TanhCap* cap,
              const std::vector<float>& sinks) {
  const ChunkView chunk = c.chunk.view();
  const int key_dim = c.shape.kv.key_dim, value_dim = c.shape.kv.value_dim;
  Right right;
  right.mass.resize(c.rows.lists.size());
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
    for (int token = chunk.first(sequence); token < chunk.offsets[sequence + 1]; ++token)
      for (int head = 0; head < c.shape.heads(); ++head) {
        const std::size_t list = sequence * c.shape.kv.kv_heads + head / c.shape.group;
        const std::vector<Row>& rows = c.rows.lists[list];
        const float* query = c.queries.data() + (token * c.shape.heads() + head) * key_dim;
        std::vector<double> scores(rows.size(), kLowest);
        for (std::size_t row = 0; row < rows.size(); ++row)
          if (causal(window)(chunk.positions[token], rows[row].position))
            scores[row] = c.scale() * std::inner_product(query, query + key_dim, rows[row].key.begin(), 0.0);
        std::vector<Position> keys;
        for (const Row& row : rows) keys.push_back(row.position);
        std::vector<double> biased = scores;
        for (std::size_t row = 0; row < rows.size(); ++row) {
          if (scores[row] == kLowest) continue;
          biased[row] += added<float>(scores, keys, row, query, table);
          if (cap != nullptr) biased[row] = cap->capped(biased[row]);
          right.largest_score = std::max(right.largest_score, std::abs(biased[row]));
        }
        double sum = sinks.empty() ? 0 : std::exp(double{sinks[head]});
        for (const double score : biased) sum += std::exp(score);
        right.log_sums.push_back(std::log(sum));
        right.mass[list].resize(rows.size());
        std::vector<double> out(value_dim);
        for (std::size_t row = 0; row < rows.size(); ++row) {
          const double weight = std::exp(biased[row]) / sum;
          right.mass[list][row] += weight;
          for (int j = 0; j < value_dim; ++j) out[j] += weight * rows[row].value[j];
        }
        right.out.insert(right.out.end(), out.begin(), out.end());
      }
  return right;
}

// Rows of every list in another order.
void turn_around(AttendCase& c) {
  for (std::vector<Row>& rows : c.rows.lists)
    std::ranges::rotate(rows, rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 3));
}

TEST(Cope, IsItsDefinitionInTheCoreWithWindowsCapsSinksAndMass) {
  for (int index = 0; index < 40; ++index) {
    AttendCase c = make_case(index);
    if (index % 4 == 3) turn_around(c);
    const BoundCope cope(c.shape.kv.key_dim);
    const TanhCap cap(6);
    MassOfRows sums;
    AttendOptions options;
    options.row_bias = cope.bias();
    options.window = index % 3 == 1 ? 21 : 0;
    if (index % 2 == 0) options.hooks = {&cap};
    if (index % 5 < 2) options.sink_logits = Stream(kSeed + index).normals(c.shape.heads());
    options.source.mass_sink = &sums;
    const Right right =
        answers(c, cope.table, options.window, options.hooks.empty() ? nullptr : &cap, options.sink_logits);
    std::vector<float> log_sums;
    const std::vector<float> out = run_attend(c, options, &log_sums);
    const double tolerance =
        attend_tolerance(c.shape.kv.key_dim, static_cast<std::size_t>(c.shape.longest()), right.largest_score);
    EXPECT_LT(normalised_error(out, right.out), tolerance) << c.shape;
    for (std::size_t i = 0; i < log_sums.size(); ++i)
      ASSERT_NEAR(log_sums[i], right.log_sums[i], 1e-5 * (10 + right.largest_score)) << c.shape;
    for (const auto& [place, found] : sums.of) {
      const std::vector<double>& of_list = right.mass[place.first * c.shape.kv.kv_heads + place.second];
      ASSERT_EQ(found.size(), of_list.size());
      for (std::size_t row = 0; row < found.size(); ++row)
        ASSERT_NEAR(found[row], of_list[row], 1e-4 * (1 + of_list[row])) << c.shape << ", row " << row;
    }
    int with_tokens = 0;
    for (const int tokens : c.shape.tokens) with_tokens += tokens > 0 ? c.shape.kv.kv_heads : 0;
    EXPECT_EQ(static_cast<int>(sums.of.size()), with_tokens);
  }
}

// Sums of gradients of one parameter.
class OneParameter final : public Gradients {
 public:
  explicit OneParameter(std::size_t size) : of(size) {}
  std::span<float> of_parameter(std::span<const float>) override { return of; }
  std::vector<float> of;

 protected:
  float* of_buffer(const float*) override { return nullptr; }
};

// One query head over 24 rows in no order, some of which it does not see; no position near a row of the table, where
// there is no derivative.
struct Bend {
  explicit Bend(std::uint64_t seed) : stream(seed) {
    for (Position key = 0; key < kRows; ++key) keys.push_back((key * 7 + 3) % kRows);
    const auto as_double = [](const std::vector<float>& numbers) {
      return std::vector<double>(numbers.begin(), numbers.end());
    };
    query = as_double(stream.normals(kWidth));
    table = as_double(stream.normals(std::int64_t{kPositions} * kWidth));
    factors = as_double(stream.normals(kRows));
    do {
      scores = as_double(stream.normals(kRows));
      for (std::size_t row = 0; row < kRows; row += 5) scores[row] = kLowest;
    } while (is_near());
  }
  [[nodiscard]] bool is_near() const {
    for (std::size_t row = 0; row < kRows; ++row) {
      if (scores[row] == kLowest) continue;
      const double position = position_of(scores, keys, row);
      if (position < kPositions - 1 && std::abs(position - std::round(position)) < 1e-3) return true;
    }
    return false;
  }
  // The sum of all scores after the bias, times factors of their own.
  [[nodiscard]] double loss() const {
    double sum = 0;
    for (std::size_t row = 0; row < kRows; ++row)
      if (scores[row] != kLowest)
        sum += factors[row] * (scores[row] + added<double>(scores, keys, row, query.data(), table));
    return sum;
  }
  double derivative(double& of) {
    constexpr double kStep = 1e-5;
    const double before = of;
    of = before + kStep;
    const double above = loss();
    of = before - kStep;
    const double below = loss();
    of = before;
    return (above - below) / (2 * kStep);
  }

  static constexpr int kRows = 24, kWidth = 8;
  Stream stream;
  std::vector<Position> keys;
  std::vector<double> scores, query, table, factors;
};

TEST(Cope, HasTheDerivativeOfItsDefinition) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Bend right(seed);
    const auto floats = [](const std::vector<double>& numbers) {
      return std::vector<float>(numbers.begin(), numbers.end());
    };
    BoundCope cope(Bend::kWidth);
    std::ranges::copy(right.table, cope.table.begin());
    std::vector<float> scores = floats(right.scores), query = floats(right.query), of = floats(right.factors);
    for (std::size_t row = 0; row < of.size(); ++row)
      if (right.scores[row] == kLowest) of[row] = 0;
    std::vector<float> of_query(query.size());
    OneParameter of_table(cope.table.size());
    const std::array<std::int64_t, 3> of_rows{1, 1, Bend::kRows}, of_width{1, 1, Bend::kWidth};
    cope.bias()->backward({.scores = {scores.data(), of_rows},
                           .key_positions = right.keys,
                           .query_position = Bend::kRows,
                           .queries = {query.data(), of_width}},
                          {of.data(), of_rows}, {of_query.data(), of_width}, of_table);
    const auto expect = [&](std::vector<double>& numbers, const std::vector<float>& found, const char* what) {
      for (std::size_t i = 0; i < numbers.size(); ++i)
        if (numbers[i] != kLowest)
          EXPECT_NEAR(found[i], right.derivative(numbers[i]), 2e-4) << what << ' ' << i << ", seed " << seed;
    };
    expect(right.scores, of, "score");
    expect(right.query, of_query, "query");
    expect(right.table, of_table.of, "table");
  }
}

TEST(Cope, AgreesWithTheSlowFormOfTheCore) {
  for (const int index : {3, 12, 21}) {
    const AttendCase c = make_case(index);
    const BoundCope cope(c.shape.kv.key_dim);
    const TanhCap cap(6);
    const std::vector<float> sinks = Stream(kSeed + index).normals(c.shape.heads());
    const ChunkView chunk = c.chunk.view();
    const CausalMask mask(30);
    const RowSource source(c.rows, {.lengths = c.chunk.lengths});
    const std::vector<const ScoreHook*> hooks{&cap};
    const AttendArgs args{.queries = rows_view(c.queries, c.shape.heads(), c.shape.kv.key_dim),
                          .chunk = chunk,
                          .source = source,
                          .scale = c.scale(),
                          .row_bias = cope.bias(),
                          .hooks = hooks,
                          .mask = mask,
                          .sink_logits = sinks};
    std::vector<QueryOfHead> queries;
    for (int token = 0; token < chunk.tokens(); ++token)
      for (int head = 0; head < c.shape.heads(); ++head) queries.push_back({token, head});
    std::vector<double> log_sums(queries.size());
    const std::vector<double> slow = attend_reference(args, queries, log_sums);
    const Right right = answers(c, cope.table, 30, &cap, sinks);
    EXPECT_LT(normalised_error(std::vector<float>(slow.begin(), slow.end()), right.out), 1e-4) << c.shape;
    for (std::size_t i = 0; i < log_sums.size(); ++i) ASSERT_NEAR(log_sums[i], right.log_sums[i], 1e-4) << c.shape;
  }
}

// Attends in two parts and merges them: each part has seen its own rows alone.
class InParts final : public AttentionVariant {
 public:
  std::vector<ParameterSpec> parameters() const override { return {}; }
  void bind(const ParameterSet&) override {}
  KvShape kv_shape() const override { return {.kv_heads = 1, .key_dim = 8, .value_dim = 8}; }
  void forward(const LayerContext& layer, TensorView<const float, 2>, TensorView<float, 2> out) override {
    const std::int64_t tokens = layer.chunk.tokens();
    const auto zeros = [&] {
      auto made = layer.steps.rows(tokens, 1, 8);
      std::fill_n(made.data(), made.elements(), 0.0F);
      return made;
    };
    layer.steps.append(zeros(), zeros());
    const auto near = zeros(), far = zeros();
    const auto near_sum = layer.steps.rows(tokens, 1), far_sum = layer.steps.rows(tokens, 1);
    layer.steps.attend({.queries = zeros(), .scale = 1, .mask = near_}, near, near_sum);
    layer.steps.attend({.queries = zeros(), .scale = 1, .mask = far_}, far, far_sum);
    const AttendedPart parts[] = {{near, near_sum}, {far, far_sum}};
    layer.steps.merge(parts, {out.data(), {tokens, 1, 8}}, {});
  }

 private:
  CausalMask near_{4}, far_;
};

TEST(Cope, RefusesAttentionThatIsMergedOfParts) {
  InParts attention;
  for (const bool is_cope : {false, true}) {
    const BoundCope cope(8);
    const auto none = plugins().position("none", {}, {.head_dim = 8});
    const auto cache =
        plugins().cache("full", {}, {})->create(cache_context(attention.kv_shape(), 1, 1, KeyForm::rotated));
    Scratch scratch;
    DirectSteps steps(scratch);
    const Chunk chunk = Chunk().add(0, 12);
    const ChunkView view = chunk.view();
    const std::vector<float> hidden(12 * 8);
    std::vector<float> out(12 * 8);
    const auto run = [&] {
      run_layer(steps, attention, {.chunk = view, .cache = *cache, .position = is_cope ? *cope.scheme : *none},
                matrix_view(hidden, 8), matrix_view(out, 8));
    };
    if (!is_cope) {
      EXPECT_NO_THROW(run());
      continue;
    }
    try {
      run();
      ADD_FAILURE() << "parts were merged";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("exclude Feature::row_bias"), std::string::npos) << error.what();
    }
  }
}

TEST(Cope, GivesZerosToAQueryThatSeesNothing) {
  AttendCase c = make_case(5);
  class Nothing final : public MaskRule {
   public:
    Cover cover(const MaskPlace&) const noexcept override { return Cover::partial; }
    void mask(ScoreTile& tile) const noexcept override {
      for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
        for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
          std::ranges::fill(tile.scores[member].row(query), -std::numeric_limits<float>::infinity());
    }
  };
  const Nothing nothing;
  const BoundCope cope(c.shape.kv.key_dim);
  AttendOptions options;
  options.row_bias = cope.bias();
  options.mask = &nothing;
  std::vector<float> log_sums;
  for (const float number : run_attend(c, options, &log_sums)) ASSERT_EQ(number, 0.0F);
  for (const float log_sum : log_sums) ASSERT_EQ(log_sum, -std::numeric_limits<float>::infinity());
}

TEST(Cope, LetsNoKeyBehindTheWindowChangeABit) {
  const AttendCase c = make_case(9);
  const BoundCope cope(c.shape.kv.key_dim);
  AttendOptions options;
  options.row_bias = cope.bias();
  options.window = 20;
  const std::vector<float> whole = run_attend(c, options);
  AttendCase changed = c;
  for (std::size_t sequence = 0; sequence < c.shape.held.size(); ++sequence)
    for (int head = 0; head < c.shape.kv.kv_heads; ++head)
      for (Row& row : changed.rows.at(static_cast<int>(sequence), head))
        if (row.position <= c.shape.held[sequence] - options.window)
          for (float& number : row.key) number = 100;
  EXPECT_TRUE(run_attend(changed, options) == whole);
}

}  // namespace
}  // namespace attnlab

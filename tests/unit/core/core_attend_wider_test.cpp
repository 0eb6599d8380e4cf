// What `attend` takes beside the softmax over everything that a position may see: tiles chosen in every phase, masks
// that look at heads and tokens, weights of whole rows, and parts that are merged. Each against double arithmetic that
// goes query by query. The plain core: core_attend_reference_test.cpp.
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "core/attend_reference.h"
#include "ops/row_steps.h"
#include "reference/attend_case.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 7310;
constexpr float kLowest = -std::numeric_limits<float>::infinity();

AttendCase make_case(int index) {
  Stream stream(kSeed + index);
  return {ragged_shape(index, stream), stream};
}

// Whether a head of a token (of the chunk) sees row `row` of its list, which is causal anyway.
using Sees = std::function<bool(int token, int head, Position query, std::size_t row)>;

// Query by query. mass [lists][rows], if given, becomes the sum of the weights.
std::vector<double> answers(const AttendCase& c, const Sees& sees, std::vector<std::vector<double>>* mass = nullptr) {
  const ChunkView chunk = c.chunk.view();
  const int value_dim = c.shape.kv.value_dim;
  std::vector<double> out(static_cast<std::size_t>(chunk.tokens()) * c.shape.heads() * value_dim);
  if (mass != nullptr) mass->assign(c.rows.lists.size(), {});
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
    for (int i = 0; i < chunk.tokens_of(sequence); ++i)
      for (int head = 0; head < c.shape.heads(); ++head) {
        const int token = chunk.first(sequence) + i;
        const std::size_t list = sequence * c.shape.kv.kv_heads + head / c.shape.group;
        const std::vector<Row>& rows = c.rows.lists[list];
        const Position position = chunk.positions[token];
        const float* query = c.queries.data() + (token * c.shape.heads() + head) * c.shape.kv.key_dim;
        std::vector<double> scores(rows.size(), kLowest);
        double largest = kLowest;
        for (std::size_t row = 0; row < rows.size(); ++row) {
          if (rows[row].position > position || !sees(token, head, position, row)) continue;
          scores[row] = c.scale() * std::inner_product(query, query + c.shape.kv.key_dim, rows[row].key.begin(), 0.0);
          largest = std::max(largest, scores[row]);
        }
        if (largest == kLowest) continue;
        double sum = 0;
        for (const double score : scores) sum += std::exp(score - largest);
        if (mass != nullptr) (*mass)[list].resize(rows.size());
        for (std::size_t row = 0; row < rows.size(); ++row) {
          const double weight = std::exp(scores[row] - largest) / sum;
          if (mass != nullptr) (*mass)[list][row] += weight;
          for (int j = 0; j < value_dim; ++j)
            out[(static_cast<std::size_t>(token) * c.shape.heads() + head) * value_dim + j] +=
                weight * rows[row].value[j];
        }
      }
  return out;
}

double tolerance(const AttendCase& c) {
  // Scores of normal numbers are below 8 in shapes of this size.
  return attend_tolerance(c.shape.kv.key_dim, static_cast<std::size_t>(c.shape.longest()), 8);
}

// Reads the first tile, and of the others every third by token, head and tile.
class EveryThird final : public TileSelector {
 public:
  static bool reads(int token, int head, int tile) { return tile == 0 || (token + 2 * head + tile) % 3 == 0; }
  bool selects(const ChunkView&, int sequence) const noexcept override { return sequence != 1; }
  void select(const QueryPlace& place, TensorView<const float, 3> queries,
              TensorView<std::uint8_t, 3> chosen) const noexcept override {
    const auto group = static_cast<int>(chosen.extent(1));
    for (int query = 0; query < chosen.extent(0); ++query)
      for (int member = 0; member < group; ++member)
        for (int tile = 0; tile < chosen.extent(2); ++tile)
          chosen(query, member, tile) = reads(place.first_token + query, place.kv_head * group + member, tile) ? 1 : 0;
    if (queries.extent(0) != static_cast<std::int64_t>(place.positions.size())) chosen(0, 0, 0) = 0;
  }
};

TEST(WiderAttend, ReadsTheTilesThatEachQueryHeadSelectsInEveryPhase) {
  for (int index = 0; index < 24; ++index) {
    const AttendCase c = make_case(index);
    const EveryThird selector;
    const ChunkView chunk = c.chunk.view();
    const Sees sees = [&](int token, int head, Position, std::size_t row) {
      const bool is_free =
          chunk.sequences() > 1 && token >= chunk.first(1) && token < chunk.first(1) + chunk.tokens_of(1);
      return is_free || EveryThird::reads(token, head, static_cast<int>(row) / kTileRows);
    };
    MassOfRows sums;
    AttendOptions options;
    options.source.selector = &selector;
    options.source.mass_sink = index % 2 == 0 ? &sums : nullptr;
    std::vector<std::vector<double>> mass;
    const std::vector<double> right = answers(c, sees, &mass);
    EXPECT_LT(normalised_error(run_attend(c, options), right), tolerance(c)) << c.shape;
    for (const auto& [place, found] : sums.of) {
      const std::vector<double>& of_list = mass[place.first * c.shape.kv.kv_heads + place.second];
      ASSERT_EQ(found.size(), of_list.size());
      for (std::size_t row = 0; row < found.size(); ++row)
        ASSERT_NEAR(found[row], of_list[row], 1e-4 * (1 + of_list[row])) << c.shape;
    }
  }
}

// Heads differ in their windows, tokens in whether they see odd positions.
class ByHeadAndToken final : public MaskRule {
 public:
  static bool sees(int token, int head, Position query, Position key) {
    return key <= query && key > query - 20 * (head + 1) && (token % 2 == 0 || key % 2 == 0 || key == query);
  }
  Cover cover(const MaskPlace& place) const noexcept override {
    const Position widest = 20 * (place.first_head + place.heads);
    if (place.keys.first > place.queries.last || place.keys.last <= place.queries.first - widest) return Cover::none;
    return Cover::partial;
  }
  void mask(ScoreTile& tile) const noexcept override {
    for (int member = 0; member < tile.scores.extent(0); ++member)
      for (int query = 0; query < tile.scores.extent(1); ++query)
        for (int row = 0; row < tile.scores.extent(2); ++row)
          if (!sees(tile.first_token + query, tile.first_head + member, tile.query_positions[query],
                    tile.key_positions[row]))
            tile.scores(member, query, row) = kLowest;
  }
};

TEST(WiderAttend, MasksByHeadAndToken) {
  for (int index = 24; index < 48; ++index) {
    const AttendCase c = make_case(index);
    const ByHeadAndToken mask;
    AttendOptions options;
    (index % 2 == 0 ? options.mask : options.source.visibility) = &mask;
    const Sees sees = [](int token, int head, Position query, std::size_t row) {
      return ByHeadAndToken::sees(token, head, query, static_cast<Position>(row));
    };
    EXPECT_LT(normalised_error(run_attend(c, options), answers(c, sees)), tolerance(c)) << c.shape;
  }
}

// A softmax, after scores of all heads were mixed.
class MixedSoftmax final : public RowWeighting {
 public:
  explicit MixedSoftmax(bool mixes) : mixes_(mixes) {}
  static float mixing(int to, int from) { return to == from ? 1.0F : 0.25F / static_cast<float>(1 + to + 2 * from); }
  bool takes_all_heads() const noexcept override { return mixes_; }
  void mix(QueryScores& query) const noexcept override {
    if (!mixes_) return;
    const auto group = static_cast<int>(query.scores.extent(1));
    const int heads = static_cast<int>(query.scores.extent(0)) * group;
    std::vector<float> raw(heads);
    for (std::int64_t row = 0; row < query.scores.extent(2); ++row) {
      for (int head = 0; head < heads; ++head) raw[head] = query.scores(head / group, head % group, row);
      for (int to = 0; to < heads; ++to) {
        float& mixed = query.scores(to / group, to % group, row);
        mixed = 0;
        for (int from = 0; from < heads; ++from) mixed += mixing(to, from) * raw[from];
      }
    }
  }
  void weigh(QueryScores& query) const noexcept override {
    for (std::int64_t kv_head = 0; kv_head < query.scores.extent(0); ++kv_head)
      for (std::int64_t member = 0; member < query.scores.extent(1); ++member) {
        const std::span<float> scores = query.scores[kv_head].row(member);
        const float largest = *std::ranges::max_element(scores);
        float sum = 0;
        for (float& score : scores) sum += score = std::exp(score - largest);
        for (float& score : scores) score /= sum;
      }
  }

 private:
  bool mixes_;
};

TEST(WiderAttend, WeighsWholeRowsAsASoftmaxDoes) {
  const MixedSoftmax weighting(false);
  for (int index = 48; index < 72; ++index) {
    const AttendCase c = make_case(index);
    AttendOptions options;
    options.row_weighting = &weighting;
    options.window = index % 3 == 0 ? 40 : 0;
    const Sees sees = [&](int, int, Position query, std::size_t row) {
      return options.window == 0 || static_cast<Position>(row) > query - options.window;
    };
    EXPECT_LT(normalised_error(run_attend(c, options), answers(c, sees)), tolerance(c)) << c.shape;
  }
}

TEST(WiderAttend, MixesTheScoresOfAllHeadsBeforeTheMask) {
  const MixedSoftmax weighting(true);
  for (int index = 72; index < 90; ++index) {
    AttendCase c = make_case(index);
    AttendOptions options;
    options.row_weighting = &weighting;
    // The same by the softmax of the core: with mixed queries, whose keys are those of all heads side by side.
    AttendCase wide = c;
    const int key_dim = c.shape.kv.key_dim;
    const int kv_heads = c.shape.kv.kv_heads;
    wide.shape.kv.key_dim = wide.rows.shape.key_dim = key_dim * kv_heads;
    for (std::size_t list = 0; list < c.rows.lists.size(); ++list)
      for (std::size_t row = 0; row < c.rows.lists[list].size(); ++row) {
        std::vector<float>& key = wide.rows.lists[list][row].key;
        key.clear();
        for (int head = 0; head < kv_heads; ++head) {
          const std::vector<float>& own = c.rows.lists[list / kv_heads * kv_heads + head][row].key;
          key.insert(key.end(), own.begin(), own.end());
        }
      }
    const int heads = c.shape.heads();
    const std::size_t tokens = c.queries.size() / heads / key_dim;
    wide.queries.assign(tokens * heads * key_dim * kv_heads, 0);
    // scale() of the wider keys is smaller
    const float rescale = c.scale() / wide.scale();
    for (std::size_t token = 0; token < tokens; ++token)
      for (int to = 0; to < heads; ++to)
        for (int from = 0; from < heads; ++from)
          for (int i = 0; i < key_dim; ++i)
            wide.queries[((token * heads + to) * kv_heads + from / c.shape.group) * key_dim + i] +=
                rescale * MixedSoftmax::mixing(to, from) * c.queries[(token * heads + from) * key_dim + i];
    const std::vector<double> right = answers(wide, [](int, int, Position, std::size_t) { return true; });
    EXPECT_LT(normalised_error(run_attend(c, options), right), 2 * tolerance(c)) << c.shape;
  }
}

TEST(WiderAttend, AgreesWithItsSlowFormWhereRowsAreWeighedWhole) {
  const MixedSoftmax weighting(true);
  const AttendCase c = make_case(91);
  const ChunkView chunk = c.chunk.view();
  const CausalMask mask(30);
  const RowSource source(c.rows, {.lengths = c.chunk.lengths});
  const AttendArgs args{.queries = rows_view(c.queries, c.shape.heads(), c.shape.kv.key_dim),
                        .chunk = chunk,
                        .source = source,
                        .scale = c.scale(),
                        .mask = mask,
                        .row_weighting = &weighting};
  std::vector<QueryOfHead> queries;
  for (int token = 0; token < chunk.tokens(); ++token)
    for (int head = 0; head < c.shape.heads(); ++head) queries.push_back({token, head});
  AttendOptions options;
  options.row_weighting = &weighting;
  options.window = 30;
  EXPECT_LT(normalised_error(run_attend(c, options), attend_reference(args, queries)), tolerance(c)) << c.shape;
}

TEST(WiderAttend, MergesPartsByTheirLogSums) {
  for (int index = 92; index < 104; ++index) {
    const AttendCase c = make_case(index);
    const int heads = c.shape.heads();
    const std::int64_t tokens = c.chunk.view().tokens();
    // Rows dealt out to three sources; the last gets none.
    std::vector<std::vector<float>> outs, log_sums;
    for (int part = 0; part < 3; ++part) {
      AttendCase some = c;
      for (std::vector<Row>& list : some.rows.lists)
        std::erase_if(list, [&](const Row& row) { return row.position % 2 != part; });
      log_sums.emplace_back();
      outs.push_back(run_attend(some, {}, &log_sums.back()));
    }
    std::vector<AttendedPart> parts;
    for (int part = 0; part < 3; ++part)
      parts.push_back({rows_view(outs[part], heads, c.shape.kv.value_dim), {log_sums[part].data(), {tokens, heads}}});
    std::vector<float> merged(outs[0].size()), total(log_sums[0].size()), whole_total;
    merge_rows(parts, rows_view(merged, heads, c.shape.kv.value_dim), {total.data(), {tokens, heads}});
    const std::vector<float> whole = run_attend(c, {}, &whole_total);
    EXPECT_LT(normalised_error(merged, whole), 2 * tolerance(c)) << c.shape;
    for (std::size_t i = 0; i < total.size(); ++i) ASSERT_NEAR(total[i], whole_total[i], 1e-4) << c.shape;
  }
}

}  // namespace
}  // namespace attnlab

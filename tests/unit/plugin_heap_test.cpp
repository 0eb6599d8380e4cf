// What plugins do in the middle of `attend`, for every tile, row or query, takes nothing from the heap: all registered
// position schemes, and the reading side of all registered caches.
#include <gtest/gtest.h>

#include <map>

#include "reference/plugins.h"
#include "unit/feed_random_rows.h"
#include "unit/heap_count.h"

namespace attnlab {
namespace {

using namespace reference;
using test::heap_count_of;

constexpr int kHeads = 4;
constexpr int kHiddenDim = 64;
constexpr int kMaxPositions = 512;

struct Scheme {
  std::string name;  // of the test
  std::string id;
  OptionValues options = {};
  int head_dim = 16;
  friend std::ostream& operator<<(std::ostream& stream, const Scheme& scheme) { return stream << scheme.name; }
};

// Every scheme that is registered, and what an option makes to another computation.
std::vector<Scheme> every_scheme() {
  std::vector<Scheme> all;
  for (const std::string& id : plugins().ids(Kind::position)) {
    all.push_back({id, id});
    all.push_back({id + "_of_wide_heads", id, {}, 200});
  }
  const std::vector<double> factors(8, 2.0);
  all.push_back({"rope_traditional", "rope", {{"traditional", true}}});
  all.push_back({"rope_dynamic", "rope", {{"scaling", std::string("dynamic")}, {"factor", 2.0}}});
  all.push_back({"rope_longrope",
                 "rope",
                 {{"scaling", std::string("longrope")}, {"short_factor", factors}, {"long_factor", factors}}});
  return all;
}

class EveryScheme : public testing::TestWithParam<Scheme> {
 protected:
  EveryScheme() {
    const Scheme& of = GetParam();
    const CreateContext context{.layers = 1,
                                .hidden_dim = kHiddenDim,
                                .heads = kHeads,
                                .kv_heads = kHeads,
                                .head_dim = of.head_dim,
                                .max_positions = kMaxPositions};
    scheme_ = plugins().position(of.id, of.options, context);
    ParameterSet set;
    for (const ParameterSpec& parameter : scheme_->parameters()) {
      std::int64_t count = 1;
      for (const std::int64_t extent : parameter.shape) count *= extent;
      std::vector<float>& values = values_[parameter.name];
      values.assign(static_cast<std::size_t>(count), 0.5F);
      set.add(parameter.name, values);
    }
    scheme_->bind(set);
  }

  std::unique_ptr<PositionScheme> scheme_;
  std::map<std::string, std::vector<float>> values_;
};

// In the tables and beyond, in a sequence of the trained length and in a longer one.
TEST_P(EveryScheme, TakesNothingFromTheHeapWhenItIsCalled) {
  Stream stream(3);
  const std::vector<Position> positions = {0, 1, 100, kMaxPositions - 1};
  const std::vector<Position> beyond = {7, kMaxPositions, 9000, 20000};
  std::vector<float> rows = stream.normals(std::int64_t{4} * kHeads * GetParam().head_dim);
  std::vector<float> scores = stream.normals(std::int64_t{kHeads} * 4 * 4);
  std::vector<float> embeddings = stream.normals(std::int64_t{4} * kHiddenDim);
  const auto count = heap_count_of([&] {
    if (const Rotation* rotation = scheme_->rotation())
      for (const RotateSide side : {RotateSide::query, RotateSide::key})
        for (const Position length : {kMaxPositions, 20001}) {
          rotation->rotate({positions, length, side}, rows_view(rows, kHeads, GetParam().head_dim));
          rotation->rotate({beyond, length, side}, rows_view(rows, kHeads, GetParam().head_dim));
        }
    if (const ScoreHook* bias = scheme_->score_bias()) {
      ScoreTile tile{{scores.data(), {kHeads, 4, 4}}, beyond, positions, 0};
      bias->apply(tile);
    }
    scheme_->add_to_embeddings(positions, matrix_view(embeddings, kHiddenDim));
  });
  EXPECT_EQ(count.calls, 0) << count.bytes << " bytes";
}

INSTANTIATE_TEST_SUITE_P(, EveryScheme, testing::ValuesIn(every_scheme()),
                         [](const auto& test) { return test.param.name; });

// The count sees what plugins do: the table of rope is one of theirs.
TEST(HeapCount, CountsInPluginsToo) {
  std::unique_ptr<PositionScheme> rope;
  const auto count = heap_count_of([&] {
    rope = plugins().position("rope", {}, {.heads = kHeads, .head_dim = 16, .max_positions = kMaxPositions});
  });
  EXPECT_GE(count.bytes, sizeof(float) * kMaxPositions * 16);
}

class EveryCache : public testing::TestWithParam<std::string> {};

// Sequence 0 after a prompt that is longer than every budget and some steps, from which policies choose.
TEST_P(EveryCache, TakesNothingFromTheHeapWhenItIsRead) {
  constexpr int kPrompt = 400;
  constexpr int kSteps = 3;
  const KvShape shape{.kv_heads = 2, .key_dim = 16, .value_dim = 16};
  const auto scheme = plugins().position("rope", {}, {.heads = kHeads, .head_dim = 16, .max_positions = kMaxPositions});
  LayerCacheContext context = cache_context(shape, kHeads, 1, KeyForm::rotated);
  context.layer = 5;  // after those that some policies leave as they are
  context.layers = 8;
  context.capacities = {kPrompt + kSteps};
  context.rotation = scheme->rotation();
  context.row_bytes = 4.0 * (shape.key_dim + shape.value_dim);
  context.list_bytes = [bytes = context.row_bytes](int rows) { return bytes * rows; };
  const auto policy = plugins().cache(GetParam(), {}, {});
  const auto cache = policy->create(context);
  Stream stream(4);
  Chunk prompt;
  feed_random_rows(*cache, prompt.add(0, kPrompt).view(), kHeads, stream);
  for (int step = 0; step < kSteps; ++step) {
    Chunk chunk;
    feed_random_rows(*cache, chunk.add(kPrompt + step, 1, Phase::decode).view(), kHeads, stream);
  }

  Scratch memory;
  std::vector<Position> positions(kTileRows);
  TileScratch scratch{memory.floats(std::int64_t{shape.key_dim} * kTileRows),
                      memory.floats(std::int64_t{shape.value_dim} * kTileRows), positions};
  const std::vector<Position> query_positions{kPrompt + kSteps};
  std::vector<float> scores(std::size_t{2} * kTileRows);
  const std::vector<float> queries = stream.normals(std::int64_t{2} * shape.key_dim);
  std::vector<std::uint8_t> reads(std::size_t{2} * 1024);
  int rows = 0;
  const auto count = heap_count_of([&] {
    const MaskRule* visibility = cache->visibility(0);
    for (int head = 0; head < shape.kv_heads; ++head) {
      const int tiles = cache->tiles(0, head);
      if (const TileSelector* selector = cache->selector())
        selector->select({.kv_head = head, .positions = query_positions}, {queries.data(), {1, 2, shape.key_dim}},
                         {reads.data(), {1, 2, tiles}});
      for (int index = 0; index < tiles; ++index) {
        const KvTile tile = cache->tile(0, head, index, scratch);
        rows += tile.rows();
        if (visibility == nullptr) continue;
        const Position query = query_positions.front();
        static_cast<void>(
            visibility->cover({.queries = {query, query}, .keys = tile.range, .kv_head = head, .heads = 2}));
        ScoreTile all{.scores = {scores.data(), {2, 1, tile.rows()}},
                      .query_positions = query_positions,
                      .key_positions = tile.positions,
                      .first_head = 2 * head};
        visibility->mask(all);
      }
    }
  });
  EXPECT_EQ(count.calls, 0) << count.bytes << " bytes";
  EXPECT_GT(rows, 0);
}

INSTANTIATE_TEST_SUITE_P(, EveryCache, testing::ValuesIn(plugins().ids(Kind::cache)),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace attnlab

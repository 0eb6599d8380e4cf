// Laws of the storages whose rows are held one by one: each reads back what the plain definition says, to the bit,
// whatever was dropped in between; pages show nowhere but in the bytes; and the bytes fall with the width.
#include "reference/storage_spec.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <attnlab/error.h>
#include <attnlab/eviction.h>

#include "reference/storage_pair.h"
#include "unit/feed_random_rows.h"

namespace attnlab {
namespace {

using namespace reference;

const std::vector<KvShape> kShapes{{.kv_heads = 1, .key_dim = 8, .value_dim = 20},
                                   {.kv_heads = 3, .key_dim = 20, .value_dim = 16},
                                   {.kv_heads = 2, .key_dim = 64, .value_dim = 64},
                                   {.kv_heads = 2, .key_dim = 33, .value_dim = 1},
                                   {.kv_heads = 1, .key_dim = 1, .value_dim = 131},
                                   {.kv_heads = 1, .key_dim = 40, .value_dim = 32, .value_is_key_prefix = true},
                                   {.kv_heads = 2, .key_dim = 67, .value_dim = 35, .value_is_key_prefix = true}};

const std::vector<StorageSpec> kStorages{{"f32", "f32"},      {"f32", "f32", 16},   {"bf16", "bf16"},
                                         {"int8", "int8"},    {"int4", "int4"},     {"int8", "int4"},
                                         {"f32", "int8"},     {"bf16", "f32"},      {"int4", "bf16", 48},
                                         {"int8", "int8", 3}, {"int4", "int4", 128}};

class EveryRowStorage : public testing::TestWithParam<StorageSpec> {};

TEST_P(EveryRowStorage, ReadsBackWhatItsDefinitionSays) {
  for (const KvShape& shape : kShapes)
    for (const int capacity : {0, 100, 1000}) {  // not known, too small, enough
      const std::uint64_t seed = 41 + capacity;
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", key_dim " << shape.key_dim);
      StoragePair pair(GetParam(), shape, 2, capacity, seed);
      for (const int count : {1, 0, 62, 1, 1, 64, 200, 5, 63, 129}) {
        pair.append(count % 2, count);
        pair.append(1, count / 2);
      }
      pair.expect_equal("after appending");
      pair.expect_bytes("after appending");
    }
}

TEST_P(EveryRowStorage, AgreesWithAPlainVectorAfterAnySeriesOfChanges) {
  for (std::size_t i = 0; i < kShapes.size(); ++i) {
    const std::uint64_t seed = 100 + i;
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", key_dim " << kShapes[i].key_dim);
    StoragePair pair(GetParam(), kShapes[i], 2, seed % 2 == 0 ? 0 : 300, seed);
    for (int step = 0; step < 40; ++step) {
      pair.change_something();
      pair.expect_equal("after a step");
      pair.expect_bytes("after a step");
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(EveryRowStorage, FillsHolesFromTheEndAsDropEntriesDoes) {
  StoragePair pair(GetParam(), {.kv_heads = 1, .key_dim = 8, .value_dim = 8}, 1, 0, 3);
  pair.append(0, 130);
  for (const std::vector<int>& dropped :
       std::vector<std::vector<int>>{{0}, {128}, {0, 1, 2}, {5, 63, 64, 65, 100}, {118, 119}, {}, {116, 117}}) {
    pair.drop(0, 0, dropped);
    pair.expect_equal("after a drop");
  }
}

std::string said_of(KvRows& rows, const std::vector<int>& dropped) {
  try {
    rows.drop(1, 0, dropped);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

TEST_P(EveryRowStorage, RefusesIndicesThatBreakTheRulesAndStaysAsItWas) {
  StoragePair pair(GetParam(), {.kv_heads = 2, .key_dim = 8, .value_dim = 8}, 2, 0, 4);
  pair.append(1, 70);
  const auto expect = [&](const std::vector<int>& dropped, const std::string& what) {
    const std::string said = said_of(pair.rows(), dropped);
    EXPECT_NE(said.find("drop of kv head 0, sequence 1: " + what), std::string::npos) << said;
  };
  expect({3, 3}, "entry 1 is row 3 once more; indices ascend, without repeats");
  expect({9, 4}, "entry 1 is row 4 after row 9");
  expect({0, 70}, "entry 1 is row 70, but there are 70 rows; name rows from 0 to 69");
  expect({-1, 2}, "entry 0 is row -1");
  EXPECT_THROW(pair.rows().drop(2, 0, {}), Error);
  EXPECT_THROW(pair.rows().drop(0, 2, {}), Error);
  EXPECT_THROW(pair.rows().clear(-1), Error);
  pair.expect_equal("after refused drops");
}

TEST_P(EveryRowStorage, RefusesRowsOfAnotherShape) {
  const KvShape shape{.kv_heads = 2, .key_dim = 8, .value_dim = 4};
  const std::unique_ptr<KvRows> rows = make_rows(GetParam(), shape, 1, 0);
  const std::vector<float> numbers(1000);
  const std::vector<Position> positions{0, 1, 2};
  const auto view = [&](std::int64_t count, std::int64_t heads, std::int64_t width) {
    return TensorView<const float, 3>(numbers.data(), {count, heads, width});
  };
  EXPECT_THROW(rows->append(0, positions, view(2, 2, 8), view(3, 2, 4)), Error);
  EXPECT_THROW(rows->append(0, positions, view(3, 1, 8), view(3, 2, 4)), Error);
  EXPECT_THROW(rows->append(0, positions, view(3, 2, 8), view(3, 2, 8)), Error);
  const TensorView<const float, 3> sparse(numbers.data(), {3, 2, 8}, {32, 16, 2});
  EXPECT_THROW(rows->append(0, positions, sparse, view(3, 2, 4)), Error);
  EXPECT_THROW(rows->append(0, std::vector<Position>{0, -1, 2}, view(3, 2, 8), view(3, 2, 4)), Error);
  EXPECT_EQ(rows->rows(0, 0), 0);
  rows->append(0, positions, view(3, 2, 8), view(3, 2, 4));
  EXPECT_EQ(rows->rows(0, 1), 3);
}

TEST_P(EveryRowStorage, TakesRowsOutOfWiderOnes) {
  // As the heads of one product lie beside each other: [tokens, q | k | v].
  const KvShape shape{.kv_heads = 2, .key_dim = 16, .value_dim = 8};
  constexpr std::int64_t kStride = 100;
  const std::vector<float> wide = Stream(8).normals(150 * kStride);
  const TensorView<const float, 3> keys(wide.data() + 3, {150, 2, 16}, {kStride, 16, 1});
  const TensorView<const float, 3> values(wide.data() + 40, {150, 2, 8}, {kStride, 8, 1});
  std::vector<float> dense_keys, dense_values;
  for (int row = 0; row < 150; ++row)
    for (int head = 0; head < 2; ++head) {
      for (int i = 0; i < 16; ++i) dense_keys.push_back(keys(row, head, i));
      for (int i = 0; i < 8; ++i) dense_values.push_back(values(row, head, i));
    }
  std::vector<Position> positions(150);
  std::iota(positions.begin(), positions.end(), 0);
  const auto of_wide = make_rows(GetParam(), shape, 1, 0);
  const auto of_dense = make_rows(GetParam(), shape, 1, 0);
  of_wide->append(0, positions, keys, values);
  of_dense->append(0, positions, rows_view(std::as_const(dense_keys), 2, 16),
                   rows_view(std::as_const(dense_values), 2, 8));
  for (int head = 0; head < 2; ++head) {
    EXPECT_EQ(stored_rows(*of_wide, shape, 0, head).size(), 150U);
    EXPECT_TRUE(stored_rows(*of_wide, shape, 0, head) == stored_rows(*of_dense, shape, 0, head)) << "head " << head;
  }
}

TEST_P(EveryRowStorage, KeepsSequencesAndHeadsApart) {
  StoragePair pair(GetParam(), {.kv_heads = 3, .key_dim = 16, .value_dim = 16}, 3, 0, 6);
  for (int sequence = 0; sequence < 3; ++sequence) pair.append(sequence, 100 + sequence);
  pair.drop_some(1, 2, 0.7);
  pair.expect_equal("one head dropped from");
  pair.append(1, 70);  // heads of one sequence now have different lengths
  pair.expect_equal("appended to heads of different lengths");
  pair.clear(0);
  pair.expect_equal("another sequence cleared");
}

TEST_P(EveryRowStorage, GivesMemoryBackAndKeepsThatOfAClearedSequence) {
  const KvShape shape{.kv_heads = 2, .key_dim = 64, .value_dim = 64};
  StoragePair pair(GetParam(), shape, 2, 4096, 4);
  EXPECT_EQ(pair.rows().bytes(), 0U) << "address space for the capacity is not memory";
  pair.append(0, 1024);
  pair.append(1, 512);
  const std::size_t full = pair.rows().bytes();
  std::vector<int> most(1000);
  std::iota(most.begin(), most.end(), 0);
  pair.drop(0, 0, most);
  EXPECT_LT(pair.rows().bytes(), full * 3 / 4);
  pair.expect_equal("after dropping");
  const std::size_t before = pair.rows().bytes();
  pair.clear(1);
  EXPECT_EQ(pair.rows().bytes(), before - 2 * 512 * sizeof(Position)) << "memory that is kept counts";
  pair.append(1, 512);
  EXPECT_EQ(pair.rows().bytes(), before);
  pair.expect_equal("after coming back");
}

TEST_P(EveryRowStorage, ShowsNumbersThatAreNotFinite) {
  const KvShape shape{.kv_heads = 1, .key_dim = 64, .value_dim = 64};
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto rows = make_rows(GetParam(), shape, 1, 0);
    std::vector<float> numbers(3 * 64, 1.0F);
    numbers[64 + 37] = odd;
    const std::vector<Position> positions{0, 1, 2};
    rows->append(0, positions, rows_view(std::as_const(numbers), 1, 64), rows_view(std::as_const(numbers), 1, 64));
    const std::vector<StoredRow> stored = stored_rows(*rows, shape, 0, 0);
    ASSERT_EQ(stored.size(), 3U);
    EXPECT_FALSE(std::isfinite(stored[1].key[37]));
    EXPECT_FALSE(std::isfinite(stored[1].value[37]));
    for (int i = 0; i < 64; ++i) EXPECT_TRUE(std::isfinite(stored[0].key[i]) && std::isfinite(stored[2].value[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryRowStorage, testing::ValuesIn(kStorages), [](const auto& test) {
  return test.param.keys + "_" + test.param.values + "_page_" + std::to_string(test.param.page);
});

// Drops the same rows at the end of every chunk, whatever they hold.
class DropsSome final : public EvictionRule {
 public:
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    const std::vector<int> dropped{0, 7, 100 + chunk.tokens() % 30, 140};
    rows.drop(sequence, 0, dropped);
  }
};

// Rows that are written through both, with the same rows dropped; the answers have to have the same bits.
TEST(Pages, ChangeNoBitOfTheAnswers) {
  constexpr KvShape kShape{.kv_heads = 2, .key_dim = 40, .value_dim = 48};
  constexpr KvShape kPrefix{.kv_heads = 1, .key_dim = 40, .value_dim = 32, .value_is_key_prefix = true};
  for (const KvShape& shape : {kShape, kPrefix})
    for (const StorageSpec& storage :
         {StorageSpec{}, StorageSpec{"bf16", "bf16"}, StorageSpec{"int8", "int4"}, StorageSpec{"int4", "int8"}})
      for (const int page : {1, 3, 16, 64, 100, 128, 1000}) {
        StorageSpec paged = storage;
        paged.page = page;
        SCOPED_TRACE(testing::Message() << paged.text() << ", key_dim " << shape.key_dim);
        const auto answers = [&](const StorageSpec& spec) {
          Stream stream(9);
          LayerCacheContext context{.heads = 4, .shape = shape};
          context.make_rows = [&] { return make_rows(spec, shape, 1, 0); };
          const auto cache = rows_cache(context, std::make_unique<DropsSome>());
          std::vector<float> all;
          Position next = 0;
          for (const int tokens : {150, 1, 1, 70, 1}) {
            Chunk chunk;
            const std::vector<float> out = feed_random_rows(*cache, chunk.add(next, tokens).view(), 4, stream);
            next += tokens;
            all.insert(all.end(), out.begin(), out.end());
          }
          return all;
        };
        EXPECT_TRUE(same_bits(answers(paged), answers(storage)));
      }
}

TEST(Pages, AreWhatIsAllocated) {
  const KvShape shape{.kv_heads = 1, .key_dim = 64, .value_dim = 64};
  for (const int page : {16, 48, 256}) {
    const StorageSpec storage{"int8", "int8", page};
    const auto rows = make_rows(storage, shape, 1, 0);
    const std::vector<float> numbers(300 * 64, 1.0F);
    std::vector<Position> positions(300);
    std::iota(positions.begin(), positions.end(), 0);
    rows->append(0, positions, rows_view(numbers, 1, 64), rows_view(numbers, 1, 64));
    const std::size_t pages = (300 + page - 1) / page;
    EXPECT_EQ(rows->bytes(), pages * page * 2 * (64 + 4) + 300 * sizeof(Position)) << page;
  }
}

TEST(Storages, TakeTheBytesOfTheirWidth) {
  const KvShape shape{.kv_heads = 4, .key_dim = 64, .value_dim = 64};
  const auto allocated = [&](const StorageSpec& storage) {
    const auto rows = make_rows(storage, shape, 1, 4096);
    const std::vector<float> numbers(4096 * 4 * 64, 1.0F);
    std::vector<Position> positions(4096);
    std::iota(positions.begin(), positions.end(), 0);
    rows->append(0, positions, rows_view(numbers, 4, 64), rows_view(numbers, 4, 64));
    EXPECT_DOUBLE_EQ(static_cast<double>(rows->bytes()), row_bytes(storage, shape) * 4096 * 4) << storage.text();
    return static_cast<double>(rows->bytes());
  };
  const double f32 = allocated({});
  EXPECT_EQ(row_bytes({}, shape), 2 * 64 * 4 + 4);
  EXPECT_NEAR(allocated({"bf16", "bf16"}) / f32, 0.5, 0.05 * 0.5);
  EXPECT_NEAR(allocated({"int8", "int8"}) / f32, 0.27, 0.05 * 0.27);
  EXPECT_NEAR(allocated({"int4", "int4"}) / f32, 0.19, 0.05 * 0.19);
}

TEST(Storages, HandOutF32InPlace) {
  const KvShape shape{.kv_heads = 1, .key_dim = 24, .value_dim = 8};
  const auto rows = make_rows({}, shape, 1, 0);
  const std::vector<float> numbers = Stream(2).normals(100 * 24);
  std::vector<Position> positions(100);
  std::iota(positions.begin(), positions.end(), 0);
  rows->append(0, positions, rows_view(numbers, 1, 24), {numbers.data(), {100, 1, 8}});
  TileScratch none;
  for (int row = 0; row < 100; ++row) {
    const KvTile tile = rows->tile(0, 0, row / kTileRows, none);
    for (int i = 0; i < 24; ++i) ASSERT_EQ(tile.keys(row % kTileRows, i), numbers[row * 24 + i]) << "row " << row;
    for (int i = 0; i < 8; ++i) ASSERT_EQ(tile.values(row % kTileRows, i), numbers[row * 8 + i]) << "row " << row;
  }
}

TEST(Storages, HoldTheFrontOfTheKeyOnce) {
  const KvShape once{.kv_heads = 1, .key_dim = 64, .value_dim = 48, .value_is_key_prefix = true};
  const KvShape twice{.kv_heads = 1, .key_dim = 64, .value_dim = 48};
  for (const char* element : {"f32", "bf16", "int8", "int4"}) {
    const StorageSpec storage{element, element};
    EXPECT_LT(row_bytes(storage, once), 0.6 * row_bytes(storage, twice)) << element;
  }
}

}  // namespace
}  // namespace attnlab

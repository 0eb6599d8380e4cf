// Laws of the storages whose rows are held one by one: each reads back what the plain definition says, to the bit,
// whatever was dropped in between; pages show nowhere but in the bytes; and the bytes fall with the width.
#include "core/storage.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "reference/storage_reference.h"
#include "reference/streams.h"

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

const std::vector<StorageSpec> kStorages{{"f32", "f32", 16},   {"bf16", "bf16"},     {"int8", "int8"},
                                         {"int4", "int4"},     {"int8", "int4"},     {"f32", "int8"},
                                         {"bf16", "f32"},      {"int4", "bf16", 48}, {"int8", "int8", 3},
                                         {"int4", "int4", 128}};

// Random numbers, and vectors in which the definition has an edge: nothing but zeros, constants, halves of a step,
// numbers far apart, and so small that a scale vanishes.
std::vector<float> vectors(Stream& stream, int count, int width) {
  std::vector<float> all = stream.normals(std::int64_t{count} * width);
  for (int row = 0; row < count; ++row) {
    const std::span<float> vector = std::span(all).subspan(static_cast<std::size_t>(row) * width, width);
    switch (stream.between(0, 7)) {
      case 0: std::ranges::fill(vector, 0.0F); break;
      case 1: std::ranges::fill(vector, stream.normal()); break;
      case 2:  // ties of int8 at a scale of 1 / 8
        for (float& x : vector) x = static_cast<float>(stream.between(-254, 254)) / 16.0F;
        vector[0] = 127.0F / 8;
        break;
      case 3:  // ties of int4 at a scale of 1 / 4, and of bf16
        for (float& x : vector) x = static_cast<float>(stream.between(0, 30)) / 8.0F + 256.0F;
        vector[0] = 256.0F;
        vector.back() = 256.0F + 15.0F / 4;
        break;
      case 4:
        for (float& x : vector) x *= std::exp2(static_cast<float>(stream.between(-60, 60)));
        break;
      case 5:
        for (float& x : vector) x *= 1e-43F;
        break;
      default: break;
    }
  }
  return all;
}

// Storage and model side by side; every change is made to both.
class Pair {
 public:
  Pair(const StorageSpec& storage, const KvShape& shape, int sequences, int capacity, std::uint64_t seed)
      : storage_(storage),
        shape_(shape),
        sequences_(sequences),
        stream_(seed),
        next_(sequences),
        model_(static_cast<std::size_t>(sequences) * shape.kv_heads),
        rows_(make_rows(storage, shape, sequences, capacity)) {}

  void append(int sequence, int count) {
    const std::vector<float> keys = vectors(stream_, count * shape_.kv_heads, shape_.key_dim);
    const std::vector<float> values = vectors(stream_, count * shape_.kv_heads, shape_.value_dim);
    std::vector<Position> positions(count);
    std::iota(positions.begin(), positions.end(), next_[sequence]);
    next_[sequence] += count;
    for (int row = 0; row < count; ++row)
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::int64_t vector = row * shape_.kv_heads + head;
        const float* key = keys.data() + vector * shape_.key_dim;
        const float* value = values.data() + vector * shape_.value_dim;
        StoredRow& stored = model(sequence, head).emplace_back(StoredRow{positions[row], {}, {}});
        stored.key = read_back(storage_.keys, {key, key + shape_.key_dim});
        stored.value = read_back(storage_.values, {value, value + shape_.value_dim});
        if (shape_.value_is_key_prefix) stored.value.assign(stored.key.begin(), stored.key.begin() + shape_.value_dim);
      }
    rows_->append(sequence, positions, rows_view(keys, shape_.kv_heads, shape_.key_dim),
                  rows_view(values, shape_.kv_heads, shape_.value_dim));
  }
  void drop(int sequence, int head, const std::vector<int>& dropped) {
    drop_entries(model(sequence, head), std::span(dropped));
    rows_->drop(sequence, head, dropped);
  }
  void drop_some(int sequence, int head, double share) {
    std::vector<int> dropped;
    for (int row = 0; row < static_cast<int>(model(sequence, head).size()); ++row)
      if (stream_.uniform() < share) dropped.push_back(row);
    drop(sequence, head, dropped);
  }
  void clear(int sequence) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      kept_pages_ += pages(model(sequence, head).size());
      model(sequence, head).clear();
    }
    rows_->clear(sequence);
    next_[sequence] = 0;
  }

  void expect_equal(const char* after) {
    for (int sequence = 0; sequence < sequences_; ++sequence)
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::vector<StoredRow>& right = model(sequence, head);
        ASSERT_EQ(rows_->rows(sequence, head), static_cast<int>(right.size())) << after;
        ASSERT_TRUE(stored_rows(*rows_, shape_, sequence, head) == right)
            << after << ", sequence " << sequence << ", head " << head;
        const std::span<const Position> positions = rows_->positions(sequence, head);
        ASSERT_TRUE(std::equal(positions.begin(), positions.end(), right.begin(), right.end(),
                               [](Position position, const StoredRow& row) { return position == row.position; }));
      }
  }

  // Whole pages, plus an index a row; at most one page a list and what cleared sequences held is kept beside it.
  void expect_bytes(const char* after) {
    const double page_rows = storage_.page == 0 ? kTileRows : storage_.page;
    const double page_bytes = (row_bytes(storage_, shape_) - sizeof(Position)) * page_rows;
    double needed = 0;
    for (const std::vector<StoredRow>& list : model_)
      needed += static_cast<double>(pages(list.size())) * page_bytes +
                static_cast<double>(list.size() * sizeof(Position));
    const auto bytes = static_cast<double>(rows_->bytes());
    EXPECT_GE(bytes, needed - 0.5) << after;
    EXPECT_LE(bytes, needed + static_cast<double>(model_.size() + kept_pages_) * page_bytes + 0.5) << after;
  }

  [[nodiscard]] std::vector<StoredRow>& model(int sequence, int head) {
    return model_[static_cast<std::size_t>(sequence) * shape_.kv_heads + head];
  }
  [[nodiscard]] KvRows& rows() { return *rows_; }
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  [[nodiscard]] std::size_t pages(std::size_t rows) const {
    const std::size_t of_page = storage_.page == 0 ? kTileRows : storage_.page;
    return (rows + of_page - 1) / of_page;
  }

  StorageSpec storage_;
  KvShape shape_;
  int sequences_;
  Stream stream_;
  std::vector<Position> next_;  // [sequences]
  std::vector<std::vector<StoredRow>> model_;
  std::unique_ptr<KvRows> rows_;
  std::size_t kept_pages_ = 0;
};

class EveryRowStorage : public testing::TestWithParam<StorageSpec> {};

TEST_P(EveryRowStorage, ReadsBackWhatItsDefinitionSays) {
  for (const KvShape& shape : kShapes)
    for (const int capacity : {0, 100, 1000}) {  // not known, too small, enough
      const std::uint64_t seed = 41 + capacity;
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", key_dim " << shape.key_dim);
      Pair pair(GetParam(), shape, 2, capacity, seed);
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
    constexpr int kSequences = 2;
    Pair pair(GetParam(), kShapes[i], kSequences, seed % 2 == 0 ? 0 : 300, seed);
    for (int step = 0; step < 40; ++step) {
      const int sequence = pair.stream().between(0, kSequences - 1);
      const int head = pair.stream().between(0, kShapes[i].kv_heads - 1);
      const double choice = pair.stream().uniform();
      if (choice < 0.55) {
        pair.append(sequence, pair.stream().between(0, pair.stream().uniform() < 0.5 ? 3 : 150));
      } else if (choice < 0.95) {
        pair.drop_some(sequence, head, pair.stream().uniform());
      } else {
        pair.clear(sequence);
      }
      pair.expect_equal("after a step");
      pair.expect_bytes("after a step");
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(EveryRowStorage, GivesMemoryBackAndKeepsThatOfAClearedSequence) {
  const KvShape shape{.kv_heads = 2, .key_dim = 64, .value_dim = 64};
  Pair pair(GetParam(), shape, 2, 4096, 4);
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

// Rows that are written through both, with the same rows dropped; the answers have to have the same bits.
TEST(Pages, ChangeNoBitOfTheAnswers) {
  constexpr KvShape kShape{.kv_heads = 2, .key_dim = 40, .value_dim = 48};
  constexpr KvShape kPrefix{.kv_heads = 1, .key_dim = 40, .value_dim = 32, .value_is_key_prefix = true};
  for (const KvShape& shape : {kShape, kPrefix})
    for (const StorageSpec& storage : {StorageSpec{}, StorageSpec{"bf16", "bf16"}, StorageSpec{"int8", "int4"},
                                       StorageSpec{"int4", "int8"}})
      for (const int page : {1, 3, 16, 64, 100, 128, 1000}) {
        StorageSpec paged = storage;
        paged.page = page;
        SCOPED_TRACE(testing::Message() << paged.text() << ", key_dim " << shape.key_dim);
        const auto answers = [&](const StorageSpec& spec) {
          Stream stream(9);
          RowsSource source(spec, shape, 1);
          std::vector<float> all;
          Position next = 0;
          for (const int tokens : {150, 1, 1, 70, 1}) {
            const std::vector<float> queries = stream.normals(std::int64_t{tokens} * 4 * shape.key_dim);
            const std::vector<float> keys = stream.normals(std::int64_t{tokens} * shape.kv_heads * shape.key_dim);
            const std::vector<float> values = stream.normals(std::int64_t{tokens} * shape.kv_heads * shape.value_dim);
            Chunk chunk;
            chunk.add(next, tokens);
            next += tokens;
            source.rows().append(0, chunk.positions, rows_view(keys, shape.kv_heads, shape.key_dim),
                                 rows_view(values, shape.kv_heads, shape.value_dim));
            std::vector<float> out(static_cast<std::size_t>(tokens) * 4 * shape.value_dim);
            const CausalMask causal;
            const ChunkView view = chunk.view();
            attend({.queries = rows_view(queries, 4, shape.key_dim), .chunk = view, .source = source, .scale = 0.2F,
                    .mask = causal},
                   rows_view(out, 4, shape.value_dim));
            all.insert(all.end(), out.begin(), out.end());
            const std::vector<int> dropped{0, 7, 100 + tokens % 30, 140};
            source.rows().drop(0, 0, dropped);
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

// Laws of the f32 storage of cached rows: what was appended is read back to the bit, whatever was dropped in between,
// and memory follows what lives. The model is a plain vector of rows a (sequence, kv head).
#include "core/f32_rows.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "reference/streams.h"

namespace attnlab {
namespace {

using namespace reference;

struct Entry {
  Position position;
  std::vector<float> key;
  std::vector<float> value;
  bool operator==(const Entry&) const = default;
};

// Storage and model side by side; every change is made to both.
class Pair {
 public:
  Pair(const KvShape& shape, int sequences, int capacity, std::uint64_t seed)
      : shape_(shape),
        sequences_(sequences),
        stream_(seed),
        next_(sequences),
        model_(static_cast<std::size_t>(sequences) * shape.kv_heads),
        rows_(f32_rows(shape, sequences, capacity)) {}

  void append(int sequence, int count) {
    const std::vector<float> keys = stream_.normals(std::int64_t{count} * shape_.kv_heads * shape_.key_dim);
    std::vector<float> values = stream_.normals(std::int64_t{count} * shape_.kv_heads * shape_.value_dim);
    std::vector<Position> positions(count);
    std::iota(positions.begin(), positions.end(), next_[sequence]);
    next_[sequence] += count;
    const auto key_rows = rows_view(keys, shape_.kv_heads, shape_.key_dim);
    const auto value_rows = rows_view(std::as_const(values), shape_.kv_heads, shape_.value_dim);
    for (int row = 0; row < count; ++row)
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const float* key = &key_rows(row, head, 0);
        const float* value = shape_.value_is_key_prefix ? key : &value_rows(row, head, 0);
        model(sequence, head)
            .push_back({positions[row], {key, key + shape_.key_dim}, {value, value + shape_.value_dim}});
      }
    rows_->append(sequence, positions, key_rows, value_rows);
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
    const std::size_t before = needed_bytes();
    for (int head = 0; head < shape_.kv_heads; ++head) model(sequence, head).clear();
    kept_bytes_ += before - needed_bytes();
    rows_->clear(sequence);
    next_[sequence] = 0;
  }

  [[nodiscard]] std::vector<Entry>& model(int sequence, int head) {
    return model_[static_cast<std::size_t>(sequence) * shape_.kv_heads + head];
  }
  // What the storage hands out, tile by tile.
  [[nodiscard]] std::vector<Entry> stored(int sequence, int head) const {
    std::vector<Entry> all;
    TileScratch none;
    for (int index = 0; index < rows_->tiles(sequence, head); ++index) {
      const KvTile tile = rows_->tile(sequence, head, index, none);
      EXPECT_TRUE(tile.rows() == kTileRows || index + 1 == rows_->tiles(sequence, head)) << "a tile that is not full";
      EXPECT_EQ(tile.query_cap, kNoCap);
      PositionRange range;
      for (int row = 0; row < tile.rows(); ++row) {
        Entry& entry = all.emplace_back(Entry{tile.positions[row], {}, {}});
        range.include(entry.position);
        for (int i = 0; i < shape_.key_dim; ++i) entry.key.push_back(tile.keys(row, i));
        for (int i = 0; i < shape_.value_dim; ++i) entry.value.push_back(tile.values(row, i));
      }
      EXPECT_EQ(tile.range.first, range.first);
      EXPECT_EQ(tile.range.last, range.last);
    }
    return all;
  }
  void expect_equal(const char* after) {
    for (int sequence = 0; sequence < sequences_; ++sequence)
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::vector<Entry>& right = model(sequence, head);
        ASSERT_EQ(rows_->rows(sequence, head), static_cast<int>(right.size())) << after;
        ASSERT_TRUE(stored(sequence, head) == right) << after << ", sequence " << sequence << ", head " << head;
        const std::span<const Position> positions = rows_->positions(sequence, head);
        ASSERT_TRUE(std::equal(positions.begin(), positions.end(), right.begin(), right.end(),
                               [](Position position, const Entry& entry) { return position == entry.position; }))
            << after;
      }
  }
  // Blocks of kTileRows that the rows need, plus one index a row.
  [[nodiscard]] std::size_t needed_bytes() const {
    const std::size_t floats = kTileRows * (shape_.key_dim + (shape_.value_is_key_prefix ? 0 : shape_.value_dim));
    std::size_t sum = 0;
    for (const std::vector<Entry>& list : model_)
      sum += (list.size() + kTileRows - 1) / kTileRows * floats * sizeof(float) + list.size() * sizeof(Position);
    return sum;
  }
  // At most: a block a list, and what cleared sequences held.
  [[nodiscard]] std::size_t spare_bytes() const {
    const std::size_t floats = kTileRows * (shape_.key_dim + (shape_.value_is_key_prefix ? 0 : shape_.value_dim));
    return model_.size() * floats * sizeof(float) + kept_bytes_;
  }
  [[nodiscard]] KvRows& rows() { return *rows_; }
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  std::size_t kept_bytes_ = 0;
  KvShape shape_;
  int sequences_;
  Stream stream_;
  std::vector<Position> next_;  // [sequences]
  std::vector<std::vector<Entry>> model_;
  std::unique_ptr<KvRows> rows_;
};

const std::vector<KvShape> kShapes{{.kv_heads = 1, .key_dim = 8, .value_dim = 20},
                                   {.kv_heads = 3, .key_dim = 20, .value_dim = 16},
                                   {.kv_heads = 2, .key_dim = 64, .value_dim = 64},
                                   {.kv_heads = 2, .key_dim = 21, .value_dim = 1},
                                   {.kv_heads = 1, .key_dim = 40, .value_dim = 32, .value_is_key_prefix = true},
                                   {.kv_heads = 2, .key_dim = 16, .value_dim = 16, .value_is_key_prefix = true}};

TEST(F32Rows, ReturnWhatWasAppendedToTheBit) {
  for (const KvShape& shape : kShapes)
    for (const int capacity : {0, 100, 1000}) {  // not known, too small, enough
      const std::uint64_t seed = 31 + capacity;
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", capacity " << capacity << ", key_dim " << shape.key_dim);
      Pair pair(shape, 2, capacity, seed);
      for (const int count : {1, 0, 62, 1, 1, 64, 200, 5, 63, 129}) {
        pair.append(count % 2, count);
        pair.append(1, count / 2);
      }
      pair.expect_equal("after appending");
    }
}

TEST(F32Rows, ReturnTheFrontOfTheKeyAsValueWhereItIsThat) {
  const KvShape shape{.kv_heads = 2, .key_dim = 40, .value_dim = 24, .value_is_key_prefix = true};
  Pair pair(shape, 1, 0, 5);
  pair.append(0, 100);
  for (int head = 0; head < 2; ++head)
    for (const Entry& entry : pair.stored(0, head))
      EXPECT_TRUE(std::equal(entry.value.begin(), entry.value.end(), entry.key.begin()));
  const KvShape apart{.kv_heads = 2, .key_dim = 40, .value_dim = 24};
  Pair both(apart, 1, 0, 5);
  both.append(0, 100);
  EXPECT_LT(pair.rows().bytes(), both.rows().bytes()) << "the value is stored again";
}

TEST(F32Rows, TakeRowsOutOfWiderOnes) {
  // As the heads of one product lie beside each other: [tokens, q | k | v].
  const KvShape shape{.kv_heads = 2, .key_dim = 16, .value_dim = 8};
  const std::int64_t stride = 100;
  Stream stream(8);
  const std::vector<float> wide = stream.normals(150 * stride);
  std::vector<Position> positions(150);
  std::iota(positions.begin(), positions.end(), 0);
  const auto rows = f32_rows(shape, 1, 0);
  rows->append(0, positions, {wide.data() + 3, {150, 2, 16}, {stride, 16, 1}},
               {wide.data() + 40, {150, 2, 8}, {stride, 8, 1}});
  TileScratch none;
  for (int head = 0; head < 2; ++head)
    for (int row = 0; row < 150; ++row) {
      const KvTile tile = rows->tile(0, head, row / kTileRows, none);
      for (int i = 0; i < 16; ++i)
        ASSERT_EQ(tile.keys(row % kTileRows, i), wide[row * stride + 3 + head * 16 + i]) << "row " << row;
      for (int i = 0; i < 8; ++i)
        ASSERT_EQ(tile.values(row % kTileRows, i), wide[row * stride + 40 + head * 8 + i]) << "row " << row;
    }
}

TEST(F32Rows, AgreeWithAPlainVectorAfterAnySeriesOfChanges) {
  for (std::size_t i = 0; i < kShapes.size(); ++i)
    for (std::uint64_t seed = 100 * i; seed < 100 * i + 4; ++seed) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", key_dim " << kShapes[i].key_dim);
      constexpr int kSequences = 3;
      Pair pair(kShapes[i], kSequences, seed % 2 == 0 ? 0 : 300, seed);
      for (int step = 0; step < 60; ++step) {
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
        if (HasFatalFailure()) return;
        // Blocks that a single drop or a clear emptied stay for the next append.
        EXPECT_GE(pair.rows().bytes(), pair.needed_bytes()) << "step " << step;
        EXPECT_LE(pair.rows().bytes(), pair.needed_bytes() + pair.spare_bytes()) << "step " << step;
      }
    }
}

TEST(F32Rows, FillHolesFromTheEndAsDropEntriesDoes) {
  Pair pair({.kv_heads = 1, .key_dim = 8, .value_dim = 8}, 1, 0, 3);
  pair.append(0, 130);
  std::vector<Position> entries(130);
  std::iota(entries.begin(), entries.end(), 0);
  const std::vector<std::vector<int>> drops{{0}, {128}, {0, 1, 2}, {5, 63, 64, 65, 100}, {118, 119}, {}, {116, 117}};
  for (const std::vector<int>& dropped : drops) {
    drop_entries(entries, std::span(dropped));
    pair.drop(0, 0, dropped);
    const std::span<const Position> positions = pair.rows().positions(0, 0);
    EXPECT_TRUE(std::equal(positions.begin(), positions.end(), entries.begin(), entries.end()));
    pair.expect_equal("after a drop");
  }
}

TEST(F32Rows, GiveMemoryBackWhenTilesBecomeEmpty) {
  Pair pair({.kv_heads = 2, .key_dim = 64, .value_dim = 64}, 2, 4096, 4);
  EXPECT_EQ(pair.rows().bytes(), 0U) << "address space for the capacity is not memory";
  pair.append(0, 1000);
  pair.append(1, 500);
  std::size_t before = pair.rows().bytes();
  std::vector<int> all_but_one(999);
  std::iota(all_but_one.begin(), all_but_one.end(), 0);
  pair.drop(0, 0, all_but_one);
  EXPECT_EQ(pair.rows().bytes(), pair.needed_bytes());
  EXPECT_LT(pair.rows().bytes(), before * 3 / 4);
}

TEST(F32Rows, KeepTheMemoryOfAClearedSequenceForTheNext) {
  Pair pair({.kv_heads = 2, .key_dim = 64, .value_dim = 64}, 2, 4096, 4);
  pair.append(0, 1000);
  pair.append(1, 500);
  const std::size_t full = pair.rows().bytes();
  pair.clear(0);
  pair.expect_equal("after clear");
  const std::size_t indices = 2 * 1000 * sizeof(Position);
  EXPECT_EQ(pair.rows().bytes(), full - indices) << "memory that is kept counts";
  pair.append(0, 1000);
  EXPECT_EQ(pair.rows().bytes(), full);
  pair.expect_equal("after coming back");
}

TEST(F32Rows, KeepSequencesAndHeadsApart) {
  Pair pair({.kv_heads = 3, .key_dim = 16, .value_dim = 16}, 3, 0, 6);
  for (int sequence = 0; sequence < 3; ++sequence) pair.append(sequence, 100 + sequence);
  pair.drop_some(1, 2, 0.7);
  pair.expect_equal("one head dropped from");
  pair.append(1, 70);  // heads of one sequence now have different lengths
  pair.expect_equal("appended to heads of different lengths");
  pair.clear(0);
  pair.expect_equal("another sequence cleared");
}

}  // namespace
}  // namespace attnlab

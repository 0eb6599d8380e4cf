// What becomes of cached rows beside appending and dropping: forks that share pages, rows that are taken back, replaced
// or read, and marks that go where their row goes. On every storage, against rows that were never touched.
#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "reference/storage_reference.h"
#include "reference/streams.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr KvShape kShape{.kv_heads = 2, .key_dim = 16, .value_dim = 24, .marks = 3};
constexpr KvShape kPrefix{.kv_heads = 1, .key_dim = 40, .value_dim = 32, .value_is_key_prefix = true, .marks = 1};

const std::vector<StorageSpec> kStorages{{"f32", "f32"},
                                         {"f32", "f32", 16},
                                         {"bf16", "bf16"},
                                         {"int8", "int8", 100},
                                         {"int4", "f32"},
                                         {"kivi", "kivi", 0, {2, 16, 20}},
                                         {"kivi", "int8", 16, {4, 8, 0}}};

// Numbers of a token are a function of the token and of the seed.
struct Tokens {
  KvShape shape;
  std::uint64_t seed;

  void append(KvRows& rows, int sequence, Position first, int count) const {
    std::vector<float> keys, values, marks;
    std::vector<Position> positions;
    for (Position token = first; token < first + count; ++token) {
      Stream stream(seed * 1000 + static_cast<std::uint64_t>(token));
      const auto add = [&](std::vector<float>& to, int width) {
        const std::vector<float> more = stream.normals(std::int64_t{shape.kv_heads} * width);
        to.insert(to.end(), more.begin(), more.end());
      };
      add(keys, shape.key_dim);
      add(values, shape.value_dim);
      add(marks, shape.marks);
      positions.push_back(token);
    }
    rows.append(sequence, positions, rows_view(std::as_const(keys), shape.kv_heads, shape.key_dim),
                rows_view(std::as_const(values), shape.kv_heads, shape.value_dim), marks);
  }
};

struct MarkedRow {
  StoredRow row;
  std::vector<float> marks;
  bool operator==(const MarkedRow&) const = default;
};

std::vector<MarkedRow> held(const KvRows& rows, const KvShape& shape, int sequence, int head) {
  std::vector<MarkedRow> all;
  for (StoredRow& row : stored_rows(rows, shape, sequence, head)) all.push_back({std::move(row), {}});
  TileRoom room(shape);
  TileScratch scratch = room.scratch();
  for (int index = 0; index < rows.tiles(sequence, head); ++index) {
    const KvTile tile = rows.tile(sequence, head, index, scratch);
    EXPECT_EQ(tile.marks.extent(0), tile.rows());
    EXPECT_EQ(tile.marks.extent(1), shape.marks);
    for (int row = 0; row < tile.rows(); ++row)
      for (int i = 0; i < shape.marks; ++i) all[index * kTileRows + row].marks.push_back(tile.marks(row, i));
  }
  return all;
}

void expect_same(const KvRows& a, int of_a, const KvRows& b, int of_b, const KvShape& shape, const std::string& when) {
  for (int head = 0; head < shape.kv_heads; ++head)
    EXPECT_TRUE(held(a, shape, of_a, head) == held(b, shape, of_b, head)) << when << ", head " << head;
}

bool holds_single_rows(const StorageSpec& storage) {
  return storage.keys != "kivi" && storage.values != "kivi";
}

std::size_t list_bytes_of(const KvShape& shape, int rows) {
  return static_cast<std::size_t>(rows) * shape.kv_heads * (sizeof(Position) + shape.marks * sizeof(float));
}

class EveryStorageChange : public testing::TestWithParam<StorageSpec> {};

TEST_P(EveryStorageChange, ForksShareTheirPagesUntilOneOfThemChangesOne) {
  for (const KvShape& shape : {kShape, kPrefix})
    for (const int prefix : {0, 1, 63, 64, 65, 200}) {
      SCOPED_TRACE(testing::Message() << GetParam().text() << ", prefix of " << prefix);
      const Tokens shared{shape, 1}, left{shape, 2}, right{shape, 3};
      const auto rows = make_rows(GetParam(), shape, 3, 0);
      const auto apart = make_rows(GetParam(), shape, 3, 0);
      shared.append(*rows, 0, 0, prefix);
      rows->settle(0);
      const std::size_t before = rows->bytes();
      rows->fork(0, 2);
      EXPECT_EQ(rows->bytes(), before + list_bytes_of(shape, prefix)) << "pages count once";
      for (const int sequence : {0, 2}) {
        shared.append(*apart, sequence, 0, prefix);
        apart->settle(sequence);
      }
      expect_same(*rows, 2, *apart, 2, shape, "forked");
      for (const int count : {1, 1, 70, 3}) {  // both go on, each with tokens of its own
        const Position next = rows->rows(0, 0);
        for (KvRows* one : {rows.get(), apart.get()}) {
          left.append(*one, 0, next, count);
          right.append(*one, 2, next, count);
        }
        expect_same(*rows, 0, *apart, 0, shape, "the original goes on");
        expect_same(*rows, 2, *apart, 2, shape, "the fork goes on");
        for (KvRows* one : {rows.get(), apart.get()}) {
          one->settle(2);
          one->settle(0);
        }
        expect_same(*rows, 0, *apart, 0, shape, "the original settled");
        expect_same(*rows, 2, *apart, 2, shape, "the fork settled");
      }
      EXPECT_LE(rows->bytes(), apart->bytes());
      rows->clear(0);
      expect_same(*rows, 2, *apart, 2, shape, "the original is gone");
      rows->fork(2, 0);
      expect_same(*rows, 0, *apart, 2, shape, "forked back");
    }
}

class EveryStorageOfSingleRows : public EveryStorageChange {};

TEST_P(EveryStorageOfSingleRows, DropsOfAForkChangeNoOtherSequence) {
  const Tokens tokens{kShape, 4};
  const auto rows = make_rows(GetParam(), kShape, 2, 0);
  const auto apart = make_rows(GetParam(), kShape, 2, 0);
  tokens.append(*rows, 0, 0, 150);
  rows->fork(0, 1);
  for (const int sequence : {0, 1}) tokens.append(*apart, sequence, 0, 150);
  for (const std::vector<int>& dropped : {std::vector<int>{3, 70}, {0, 1, 2, 100, 140}, {80}}) {
    rows->drop(1, 0, dropped);
    apart->drop(1, 0, dropped);
    expect_same(*rows, 1, *apart, 1, kShape, "the fork dropped some");
    expect_same(*rows, 0, *apart, 0, kShape, "the original");
  }
}

TEST_P(EveryStorageChange, RowsThatAreTakenBackLeaveNoTrace) {
  for (const KvShape& shape : {kShape, kPrefix})
    for (const int length : {1, 63, 64, 130}) {
      SCOPED_TRACE(testing::Message() << GetParam().text() << ", length " << length);
      const Tokens accepted{shape, 5}, guessed{shape, 6};
      const auto rows = make_rows(GetParam(), shape, 1, 0);
      const auto never = make_rows(GetParam(), shape, 1, 0);
      accepted.append(*rows, 0, 0, length);
      accepted.append(*never, 0, 0, length);
      rows->settle(0);
      never->settle(0);
      for (const int guess : {1, 5, 80}) {
        guessed.append(*rows, 0, length, guess);
        rows->truncate(0, length);
        expect_same(*rows, 0, *never, 0, shape, "taken back");
      }
      rows->truncate(0, length);  // nothing is there to be taken back
      for (int next = length; next < length + 40; next += 3) {
        accepted.append(*rows, 0, next, 3);
        accepted.append(*never, 0, next, 3);
        rows->settle(0);
        never->settle(0);
        expect_same(*rows, 0, *never, 0, shape, "goes on");
      }
    }
}

TEST_P(EveryStorageChange, RowsThatCannotBeTakenBackAreRefusedAndStay) {
  const Tokens tokens{kShape, 7};
  const auto rows = make_rows(GetParam(), kShape, 1, 0);
  tokens.append(*rows, 0, 0, 100);
  if (holds_single_rows(GetParam())) {
    const std::vector<int> dropped{10};  // the newest row takes its place
    rows->drop(0, 1, dropped);
  } else {
    rows->settle(0);
  }
  const std::vector<MarkedRow> before = held(*rows, kShape, 0, 0);
  EXPECT_THROW(rows->truncate(0, 95), Error);
  EXPECT_THROW(rows->truncate(0, -1), Error);
  EXPECT_THROW(rows->truncate(1, 3), Error);
  EXPECT_TRUE(held(*rows, kShape, 0, 0) == before) << "half of it was done";
}

// Also where the rows that are left stand in their order, so that nothing shows what has gone; and where the newest row
// stands in the place of an older one, so that it is not the last.
TEST_P(EveryStorageOfSingleRows, RowsBelowADropCannotBeTakenBackAndThoseAfterItCan) {
  const Tokens tokens{kShape, 14};
  for (const std::vector<int>& dropped : std::vector<std::vector<int>>{{99}, {10}, {50, 98, 99}}) {
    const auto rows = make_rows(GetParam(), kShape, 2, 0);
    tokens.append(*rows, 0, 0, 100);
    for (const int head : {0, 1}) rows->drop(0, head, dropped);
    const std::vector<MarkedRow> before = held(*rows, kShape, 0, 1);
    for (const int length : {99, 60, 0}) EXPECT_THROW(rows->truncate(0, length), Error) << length;
    const auto expect_as_before = [&](int sequence, const char* what) {
      EXPECT_TRUE(held(*rows, kShape, sequence, 1) == before) << what << ", from row " << dropped.front();
    };
    expect_as_before(0, "refused");
    rows->truncate(0, 100);
    expect_as_before(0, "nothing to take back");
    tokens.append(*rows, 0, 100, 30);
    rows->truncate(0, 100);
    expect_as_before(0, "taken back after the drop");
    rows->fork(0, 1);
    StateWriter saved;
    rows->save(0, saved);
    rows->clear(0);
    StateReader state(saved.bytes());
    rows->restore(0, state);
    for (const int sequence : {0, 1}) {
      EXPECT_THROW(rows->truncate(sequence, 99), Error) << "the drop is known after a restore, and in a fork";
      expect_as_before(sequence, "restored or forked");
    }
  }
}

TEST_P(EveryStorageChange, RowsAreReplacedExactlyOrRefused) {
  const Tokens tokens{kShape, 8};
  const auto rows = make_rows(GetParam(), kShape, 2, 0);
  tokens.append(*rows, 0, 0, 130);
  rows->fork(0, 1);
  const std::vector<float> key = Stream(9).normals(kShape.key_dim), value = Stream(10).normals(kShape.value_dim);
  const bool is_exact = GetParam().keys == "f32" && GetParam().values == "f32";
  std::vector<MarkedRow> right = held(*rows, kShape, 0, 1);
  const std::vector<MarkedRow> of_fork = right;
  for (const int row : {0, 63, 64, 129}) {
    if (!is_exact) {
      EXPECT_THROW(rows->replace(0, 1, row, key, value), Error);
      continue;
    }
    rows->replace(0, 1, row, key, value);
    right[row].row.key = key;
    right[row].row.value = value;
  }
  EXPECT_TRUE(held(*rows, kShape, 0, 1) == right);
  EXPECT_TRUE(held(*rows, kShape, 1, 1) == of_fork) << "the fork has its own";
  EXPECT_THROW(rows->replace(0, 1, 130, key, value), Error);
  EXPECT_THROW(rows->replace(0, 1, 0, value, value), Error);
  EXPECT_THROW(rows->replace(0, 1, 0, key, key), Error);
}

TEST_P(EveryStorageChange, RowsAreReadInAnyPieces) {
  for (const KvShape& shape : {kShape, kPrefix}) {
    const Tokens tokens{shape, 11};
    const auto rows = make_rows(GetParam(), shape, 1, 0);
    tokens.append(*rows, 0, 0, 150);
    rows->settle(0);
    const std::vector<StoredRow> right = stored_rows(*rows, shape, 0, 0);
    ASSERT_EQ(right.size(), 150U);
    for (const auto& [first, count] :
         std::vector<std::pair<int, int>>{{0, 150}, {0, 1}, {63, 2}, {149, 1}, {20, 120}}) {
      std::vector<float> keys(count * shape.key_dim), values(count * shape.value_dim), alone(count * shape.value_dim);
      rows->read(0, 0, first, {keys.data(), {count, shape.key_dim}}, {values.data(), {count, shape.value_dim}});
      rows->read(0, 0, first, {}, {alone.data(), {count, shape.value_dim}});
      for (int row = 0; row < count; ++row) {
        const StoredRow& of_row = right[first + row];
        EXPECT_TRUE(std::equal(of_row.key.begin(), of_row.key.end(), keys.begin() + row * shape.key_dim)) << first;
        EXPECT_TRUE(std::equal(of_row.value.begin(), of_row.value.end(), values.begin() + row * shape.value_dim));
      }
      EXPECT_TRUE(same_bits(alone, values));
    }
    std::vector<float> room(1000);
    const auto view = [&](int count, int width) { return TensorView<float, 2>(room.data(), {count, width}); };
    EXPECT_THROW(rows->read(0, 0, 149, view(2, shape.key_dim), {}), Error);
    EXPECT_THROW(rows->read(0, 0, -1, view(2, shape.key_dim), {}), Error);
    EXPECT_THROW(rows->read(0, 0, 0, view(2, shape.key_dim - 1), {}), Error);
    EXPECT_THROW(rows->read(0, 0, 0, view(2, shape.key_dim), view(3, shape.value_dim)), Error);
  }
}

TEST_P(EveryStorageChange, MarksGoWhereTheirRowGoes) {
  const Tokens tokens{kShape, 12};
  const auto rows = make_rows(GetParam(), kShape, 3, 0);
  KvShape unmarked = kShape;
  unmarked.marks = 0;
  EXPECT_DOUBLE_EQ(row_bytes(GetParam(), kShape), row_bytes(GetParam(), unmarked) + 3 * sizeof(float));
  EXPECT_DOUBLE_EQ(list_bytes(GetParam(), kShape, 70), list_bytes(GetParam(), unmarked, 70) + 70 * 3 * sizeof(float));
  tokens.append(*rows, 0, 0, 150);
  std::vector<MarkedRow> right = held(*rows, kShape, 0, 1);
  for (const MarkedRow& row : right) {  // as they were given: after the keys and values of the token
    Stream stream(12'000 + static_cast<std::uint64_t>(row.row.position));
    (void)stream.normals(2 * kShape.key_dim);
    (void)stream.normals(2 * kShape.value_dim);
    const std::vector<float> marks = stream.normals(2 * kShape.marks);
    ASSERT_TRUE(std::equal(row.marks.begin(), row.marks.end(), marks.begin() + kShape.marks)) << row.row.position;
  }
  if (holds_single_rows(GetParam())) {
    const std::vector<int> dropped{0, 7, 64, 148};
    rows->drop(0, 1, dropped);
    drop_entries(right, std::span(dropped));
  }
  EXPECT_TRUE(held(*rows, kShape, 0, 1) == right);
  StateWriter saved;
  rows->save(0, saved);
  StateReader state(saved.bytes());
  rows->restore(2, state);
  EXPECT_TRUE(held(*rows, kShape, 2, 1) == right) << "saved and restored";
}

TEST_P(EveryStorageChange, ForksAndMarksThatBreakTheRulesAreRefused) {
  const Tokens tokens{kShape, 13};
  const auto rows = make_rows(GetParam(), kShape, 2, 0);
  tokens.append(*rows, 0, 0, 5);
  tokens.append(*rows, 1, 0, 1);
  EXPECT_THROW(rows->fork(0, 1), Error) << "not empty";
  EXPECT_THROW(rows->fork(0, 0), Error);
  EXPECT_THROW(rows->fork(0, 2), Error);
  EXPECT_THROW(rows->fork(-1, 1), Error);
  const std::vector<float> numbers(100);
  const std::vector<Position> one{5};
  const TensorView<const float, 3> keys(numbers.data(), {1, 2, 16}), values(numbers.data(), {1, 2, 24});
  EXPECT_THROW(rows->append(0, one, keys, values), Error) << "no marks";
  EXPECT_THROW(rows->append(0, one, keys, values, std::span(numbers).first(5)), Error);
  EXPECT_EQ(rows->rows(0, 0), 5);
  rows->append(0, one, keys, values, std::span(numbers).first(6));
  EXPECT_EQ(rows->rows(0, 1), 6);
}

std::string name_of(const testing::TestParamInfo<StorageSpec>& test) {
  return test.param.keys + "_" + test.param.values + "_page_" + std::to_string(test.param.page);
}

std::vector<StorageSpec> of_single_rows() {
  std::vector<StorageSpec> storages = kStorages;
  std::erase_if(storages, [](const StorageSpec& storage) { return !holds_single_rows(storage); });
  return storages;
}

INSTANTIATE_TEST_SUITE_P(, EveryStorageChange, testing::ValuesIn(kStorages), name_of);
INSTANTIATE_TEST_SUITE_P(, EveryStorageOfSingleRows, testing::ValuesIn(of_single_rows()), name_of);

}  // namespace
}  // namespace attnlab

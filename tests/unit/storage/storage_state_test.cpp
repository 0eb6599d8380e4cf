// Every storage goes on from a saved state as if nothing had happened: its rows are put back to the bit, into rows of
// the same kind that hold something else, and what is appended, dropped and coded afterwards is the same.
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "reference/storage_pair.h"

namespace attnlab {
namespace {

using namespace reference;

const std::vector<KvShape> kShapes{{.kv_heads = 3, .key_dim = 20, .value_dim = 16},
                                   {.kv_heads = 2, .key_dim = 64, .value_dim = 64},
                                   {.kv_heads = 1, .key_dim = 40, .value_dim = 32, .value_is_key_prefix = true},
                                   {.kv_heads = 2, .key_dim = 67, .value_dim = 35, .value_is_key_prefix = true}};

const std::vector<StorageSpec> kStorages{{"f32", "f32"},
                                         {"f32", "f32", 16},
                                         {"bf16", "bf16"},
                                         {"bf16", "bf16", 100},
                                         {"int8", "int8"},
                                         {"int8", "int8", 16},
                                         {"int4", "int4"},
                                         {"int4", "int4", 128},
                                         {"int8", "int4"},
                                         {"f32", "int8", 3},
                                         {"kivi", "kivi", 0, {2, 32, 20}},
                                         {"kivi", "kivi", 0, {4, 8, 0}},
                                         {"kivi", "kivi", 16, {4, 32, 64}}};

class EveryStorageState : public testing::TestWithParam<StorageSpec> {
 protected:
  // The next tokens of a sequence, the same into all of them.
  static void append(Stream& stream, const KvShape& shape, Position first, int count,
                     std::initializer_list<std::pair<KvRows*, int>> all) {
    const std::vector<float> keys = odd_vectors(stream, count * shape.kv_heads, shape.key_dim);
    const std::vector<float> values = odd_vectors(stream, count * shape.kv_heads, shape.value_dim);
    std::vector<Position> positions(count);
    std::iota(positions.begin(), positions.end(), first);
    for (const auto& [rows, sequence] : all)
      rows->append(sequence, positions, rows_view(keys, shape.kv_heads, shape.key_dim),
                   rows_view(values, shape.kv_heads, shape.value_dim));
  }
  static void expect_same(const KvRows& a, int of_a, const KvRows& b, int of_b, const KvShape& shape,
                          const char* when) {
    for (int head = 0; head < shape.kv_heads; ++head) {
      ASSERT_EQ(a.rows(of_a, head), b.rows(of_b, head)) << when;
      ASSERT_TRUE(stored_rows(a, shape, of_a, head) == stored_rows(b, shape, of_b, head)) << when << ", head " << head;
      ASSERT_TRUE(std::ranges::equal(a.positions(of_a, head), b.positions(of_b, head))) << when;
    }
  }
};

TEST_P(EveryStorageState, GoesOnAsIfNothingHadHappened) {
  for (const KvShape& shape : kShapes)
    for (const int held : {0, 1, 63, 64, 65, 200}) {
      const std::uint64_t seed = 70 + held;
      SCOPED_TRACE(testing::Message() << GetParam().text() << ", key_dim " << shape.key_dim << ", seed " << seed);
      Stream stream(seed);
      const auto original = make_rows(GetParam(), shape, 2, 0);
      const auto other = make_rows(GetParam(), shape, 3, 0);
      append(stream, shape, 0, 90, {{other.get(), 2}, {other.get(), 0}});
      other->settle(2);
      append(stream, shape, 0, held, {{original.get(), 1}});
      const auto drop_some = [&](std::initializer_list<std::pair<KvRows*, int>> all) {
        if (GetParam().is_kivi()) return;  // loses no single rows
        const int head = stream.between(0, shape.kv_heads - 1);
        std::vector<int> dropped;
        for (int row = 0; row < original->rows(1, head); ++row)
          if (stream.uniform() < 0.3) dropped.push_back(row);
        for (const auto& [rows, sequence] : all) rows->drop(sequence, head, dropped);
      };
      drop_some({{original.get(), 1}});
      original->settle(1);
      append(stream, shape, held, 3, {{original.get(), 1}});  // not settled yet

      StateWriter saved;
      original->save(1, saved);
      StateReader state(saved.bytes());
      other->restore(2, state);
      EXPECT_TRUE(state.is_at_end());
      expect_same(*original, 1, *other, 2, shape, "restored");
      EXPECT_EQ(other->rows(0, 0), 90) << "another sequence";

      const std::size_t bytes = other->bytes();
      StateReader again(saved.bytes());
      other->restore(2, again);
      EXPECT_EQ(other->bytes(), bytes) << "restored twice";

      Position next = held + 3;
      for (const int count : {1, 1, 70, 1}) {
        original->settle(1);
        other->settle(2);
        append(stream, shape, next, count, {{original.get(), 1}, {other.get(), 2}});
        next += count;
        expect_same(*original, 1, *other, 2, shape, "appended");
        drop_some({{original.get(), 1}, {other.get(), 2}});
        expect_same(*original, 1, *other, 2, shape, "dropped");
        if (HasFatalFailure()) return;
      }
    }
}

TEST_P(EveryStorageState, IsRefusedWhereItEndsTooEarly) {
  const KvShape& shape = kShapes.front();
  Stream stream(5);
  const auto rows = make_rows(GetParam(), shape, 1, 0);
  append(stream, shape, 0, 100, {{rows.get(), 0}});
  StateWriter saved;
  rows->save(0, saved);
  for (const std::size_t part : {std::size_t{0}, std::size_t{7}, saved.bytes().size() / 2, saved.bytes().size() - 1}) {
    StateReader state(saved.bytes().first(part));
    EXPECT_THROW(rows->restore(0, state), Error) << part << " of " << saved.bytes().size() << " bytes";
  }
  StateReader whole(saved.bytes());
  rows->restore(0, whole);  // what was left half done is no obstacle
  EXPECT_EQ(rows->rows(0, 0), 100);
}

INSTANTIATE_TEST_SUITE_P(, EveryStorageState, testing::ValuesIn(kStorages), [](const auto& test) {
  const StorageSpec& of = test.param;
  return of.keys + "_" + of.values + "_page_" + std::to_string(of.page) +
         (of.is_kivi() ? "_bits_" + std::to_string(of.kivi.bits) : "");
});

}  // namespace
}  // namespace attnlab

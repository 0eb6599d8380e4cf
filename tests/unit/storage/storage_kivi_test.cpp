// Laws of the storage kivi: which rows are codes after which check, and what they read back, against a simulation that
// works out every row anew from fixtures/plugins/SPEC.md.
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "reference/storage_spec.h"
#include "reference/storage_reference.h"
#include "reference/streams.h"

namespace attnlab {
namespace {

using namespace reference;

StorageSpec kivi(int bits, int group, int residual, int page = 0) {
  return {"kivi", "kivi", page, {bits, group, residual}};
}

// One list as it was appended, and how many rows it had at the last check.
class Simulation {
 public:
  Simulation(const KiviFormat& format, const KvShape& shape) : format_(format), shape_(shape) {}

  void append(Position position, const float* key, const float* value) {
    given_.push_back({position, {key, key + shape_.key_dim}, {value, value + shape_.value_dim}});
  }
  void check() { checked_ = static_cast<int>(given_.size()); }
  void clear() {
    given_.clear();
    checked_ = 0;
  }
  [[nodiscard]] std::vector<StoredRow> read() const {
    std::vector<StoredRow> rows = given_;
    for (int group = 0; checked_ - (group + 1) * format_.group >= format_.residual; ++group)
      for (int channel = 0; channel < shape_.key_dim; ++channel) {
        std::vector<float> tokens;
        for (int i = 0; i < format_.group; ++i) tokens.push_back(given_[group * format_.group + i].key[channel]);
        tokens = read_back_affine(tokens, format_.bits, format_.group);
        for (int i = 0; i < format_.group; ++i) rows[group * format_.group + i].key[channel] = tokens[i];
      }
    for (int row = 0; checked_ - row > format_.residual; ++row)
      rows[row].value = read_back_affine(given_[row].value, format_.bits, format_.group);
    if (shape_.value_is_key_prefix)
      for (StoredRow& row : rows) row.value.assign(row.key.begin(), row.key.begin() + shape_.value_dim);
    return rows;
  }

 private:
  KiviFormat format_;
  KvShape shape_;
  std::vector<StoredRow> given_;
  int checked_ = 0;
};

class Pair {
 public:
  Pair(const StorageSpec& storage, const KvShape& shape, int sequences, std::uint64_t seed)
      : shape_(shape),
        stream_(seed),
        next_(sequences),
        model_(static_cast<std::size_t>(sequences) * shape.kv_heads, Simulation(storage.kivi, shape)),
        rows_(make_rows(storage, shape, sequences, 0)) {}

  void append(int sequence, int count) {
    std::vector<float> keys = stream_.normals(std::int64_t{count} * shape_.kv_heads * shape_.key_dim);
    std::vector<float> values = stream_.normals(std::int64_t{count} * shape_.kv_heads * shape_.value_dim);
    // Channels and tokens that are constant over a group.
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (i % shape_.key_dim % 7 == 3) keys[i] = 0.25F;
    if (count > 2) std::fill_n(values.begin(), shape_.value_dim, 0.0F);
    std::vector<Position> positions(count);
    std::iota(positions.begin(), positions.end(), next_[sequence]);
    next_[sequence] += count;
    for (int row = 0; row < count; ++row)
      for (int head = 0; head < shape_.kv_heads; ++head) {
        const std::int64_t vector = row * shape_.kv_heads + head;
        model(sequence, head)
            .append(positions[row], keys.data() + vector * shape_.key_dim, values.data() + vector * shape_.value_dim);
      }
    rows_->append(sequence, positions, rows_view(std::as_const(keys), shape_.kv_heads, shape_.key_dim),
                  rows_view(std::as_const(values), shape_.kv_heads, shape_.value_dim));
  }
  void settle(int sequence) {
    for (int head = 0; head < shape_.kv_heads; ++head) model(sequence, head).check();
    rows_->settle(sequence);
  }
  void clear(int sequence) {
    for (int head = 0; head < shape_.kv_heads; ++head) model(sequence, head).clear();
    rows_->clear(sequence);
    next_[sequence] = 0;
  }
  void expect_equal(const char* after) {
    for (int sequence = 0; sequence < static_cast<int>(next_.size()); ++sequence)
      for (int head = 0; head < shape_.kv_heads; ++head)
        ASSERT_TRUE(stored_rows(*rows_, shape_, sequence, head) == model(sequence, head).read())
            << after << ", sequence " << sequence << ", head " << head;
  }
  [[nodiscard]] Simulation& model(int sequence, int head) {
    return model_[static_cast<std::size_t>(sequence) * shape_.kv_heads + head];
  }
  [[nodiscard]] KvRows& rows() { return *rows_; }
  [[nodiscard]] Stream& stream() { return stream_; }

 private:
  KvShape shape_;
  Stream stream_;
  std::vector<Position> next_;
  std::vector<Simulation> model_;
  std::unique_ptr<KvRows> rows_;
};

const std::vector<KvShape> kShapes{{.kv_heads = 2, .key_dim = 16, .value_dim = 20},
                                   {.kv_heads = 1, .key_dim = 64, .value_dim = 64},
                                   {.kv_heads = 1, .key_dim = 40, .value_dim = 24, .value_is_key_prefix = true}};

class EveryKivi : public testing::TestWithParam<StorageSpec> {};

TEST_P(EveryKivi, HoldsTheCodesOfTheDefinitionWhateverThePiecesOfThePrompt) {
  for (const KvShape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << GetParam().text() << ", key_dim " << shape.key_dim);
    Pair pair(GetParam(), shape, 2, 12);
    for (const int piece : {70, 1, 30, 99}) {
      pair.append(0, piece);
      pair.expect_equal("a prompt that is answered");
    }
    pair.settle(0);
    pair.expect_equal("after the prompt");
    pair.append(1, 20);
    pair.settle(1);
    for (int step = 0; step < 60; ++step) {
      pair.append(step % 3 == 0 ? 1 : 0, 1);
      pair.expect_equal("a step that is answered");
      pair.settle(step % 3 == 0 ? 1 : 0);
      pair.expect_equal("after the step");
      if (HasFatalFailure()) return;
    }
    pair.clear(0);
    pair.expect_equal("after clear");
    pair.append(0, 180);
    pair.settle(0);
    pair.settle(0);
    pair.expect_equal("another prompt, checked twice");
    std::vector<int> all(pair.rows().rows(1, 0));
    std::iota(all.begin(), all.end(), 0);
    pair.rows().drop(1, 0, {});
    pair.expect_equal("nothing dropped");
    pair.rows().drop(1, 0, all);
    pair.model(1, 0).clear();
    pair.expect_equal("all dropped");
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryKivi,
                         testing::Values(kivi(2, 32, 128), kivi(4, 8, 16), kivi(4, 32, 0), kivi(2, 1, 3),
                                         kivi(2, 50, 7), kivi(4, 128, 5), kivi(4, 3, 1000), kivi(2, 32, 64, 16),
                                         kivi(4, 32, 20, 1), kivi(4, 20, 20, 100)),
                         [](const auto& test) {
                           const StorageSpec& of = test.param;
                           return "bits_" + std::to_string(of.kivi.bits) + "_group_" + std::to_string(of.kivi.group) +
                                  "_residual_" + std::to_string(of.kivi.residual) + "_page_" + std::to_string(of.page);
                         });

TEST(Kivi, TakesTheBytesOfItsCodesBesideTheNewestRows) {
  const KvShape shape{.kv_heads = 1, .key_dim = 64, .value_dim = 64};
  for (const int bits : {2, 4}) {
    const StorageSpec storage = kivi(bits, 32, 128);
    Pair pair(storage, shape, 1, 3);
    pair.append(0, 4096);
    EXPECT_GT(pair.rows().bytes(), 4096U * 512);
    pair.settle(0);
    // Codes of 64 channels, and a scale and a minimum for every 32 numbers, keys and values alike.
    EXPECT_DOUBLE_EQ(row_bytes(storage, shape), 2 * (64 * bits / 8 + 64 / 32 * 8) + 4);
    EXPECT_LT(pair.rows().bytes(), 4096 * row_bytes(storage, shape) + (128 + 64) * 512);
    EXPECT_GT(pair.rows().bytes(), (4096 - 160) * row_bytes(storage, shape) + 128 * 512);
  }
}

TEST(Kivi, RefusesToDropAndToReplaceSingleRows) {
  const KvShape shape{.kv_heads = 1, .key_dim = 8, .value_dim = 8};
  Pair pair(kivi(2, 4, 0), shape, 1, 3);
  pair.append(0, 10);
  const std::vector<int> one{3};
  const std::vector<float> numbers(8);
  EXPECT_THROW(pair.rows().drop(0, 0, one), Error);
  EXPECT_THROW(pair.rows().replace(0, 0, 3, numbers, numbers), Error);
  pair.expect_equal("after what was refused");
}

}  // namespace
}  // namespace attnlab

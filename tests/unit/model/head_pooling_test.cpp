// What becomes of kv heads when an arm has fewer of them than the checkpoint: mean or first of a group, or values that
// a model without a checkpoint would have. Held against the tensors as they are stored.
#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "model/weight_store.h"
#include "unit/checkpoint_samples.h"

namespace attnlab::model {
namespace {

constexpr int kStored = 8;  // kv heads of the fixture
constexpr int kHeadDim = 8;
constexpr int kHidden = 64;
constexpr const char* kKeys = "model.layers.1.self_attn.k_proj.weight";

class HeadPoolingTest : public testing::Test {
 protected:
  std::filesystem::path folder_ = std::filesystem::path(ATTNLAB_TEST_DATA_DIR) / "fixtures/models/llama-mha";
  ModelConfig config_ = read_config_json(folder_);

  // [heads * kHeadDim, kHidden], as plain numbers and out of the packed matrix
  std::vector<float> keys(int heads, HeadPooling pooling, std::uint64_t seed = 7) const {
    const std::vector<std::int64_t> shape{std::int64_t{heads} * kHeadDim, kHidden};
    WeightStore plain(Checkpoint::open(folder_), config_, false, seed);
    std::vector<float> values = plain.values(kKeys, shape, {heads, pooling});
    WeightStore packed(Checkpoint::open(folder_), config_, false, seed);
    const Matrix matrix = packed.matrix(kKeys, shape, {heads, pooling});
    std::vector<float> row(kHidden);
    for (std::int64_t at = 0; at < shape[0]; ++at) {
      matrix.copy_output(at, row);
      EXPECT_TRUE(std::equal(row.begin(), row.end(), values.begin() + at * kHidden)) << "row " << at;
    }
    EXPECT_EQ(plain.notes(), packed.notes());
    notes_ = plain.notes();
    return values;
  }

  mutable std::vector<std::string> notes_;
};

TEST_F(HeadPoolingTest, TheMeanIsOfEveryHeadOfAGroup) {
  const std::vector<float> stored = keys(kStored, HeadPooling::mean);
  EXPECT_TRUE(notes_.empty());
  const std::vector<float> pooled = keys(2, HeadPooling::mean);
  EXPECT_EQ(notes_, std::vector<std::string>{"converted: 2 kv heads from 8 (mean-pooled)"});
  for (int head = 0; head < 2; ++head)
    for (int i = 0; i < kHeadDim * kHidden; ++i) {
      double sum = 0;
      for (int member = 0; member < 4; ++member) sum += stored[(head * 4 + member) * kHeadDim * kHidden + i];
      ASSERT_FLOAT_EQ(pooled[head * kHeadDim * kHidden + i], static_cast<float>(sum / 4)) << head << " " << i;
    }
}

// OLMo 2 has one norm over the keys of all heads, which is as wide as they are.
TEST(PooledNorms, FollowTheirHeadsAndAreOnesWhereTheyAreNew) {
  const std::filesystem::path folder = std::filesystem::path(ATTNLAB_TEST_DATA_DIR) / "fixtures/architectures/olmo2";
  const ModelConfig config = read_config_json(folder);
  const std::int64_t width = config.head_dim;
  ASSERT_GT(config.kv_heads, 1);
  const auto norm = [&](int heads, HeadPooling pooling) {
    WeightStore weights(Checkpoint::open(folder), config, false, 7);
    const std::vector<std::int64_t> shape{heads * width};
    return weights.values("model.layers.0.self_attn.k_norm.weight", shape, {heads, pooling});
  };
  const std::vector<float> stored = norm(config.kv_heads, HeadPooling::mean), mean = norm(1, HeadPooling::mean);
  for (std::int64_t i = 0; i < width; ++i) {
    double sum = 0;
    for (int head = 0; head < config.kv_heads; ++head) sum += stored[head * width + i];
    EXPECT_FLOAT_EQ(mean[i], static_cast<float>(sum / config.kv_heads)) << i;
  }
  EXPECT_EQ(norm(1, HeadPooling::first), std::vector<float>(stored.begin(), stored.begin() + width));
  EXPECT_EQ(norm(1, HeadPooling::random), std::vector<float>(static_cast<std::size_t>(width), 1.0F));
}

TEST_F(HeadPoolingTest, TheFirstHeadOfEveryGroupStays) {
  const std::vector<float> stored = keys(kStored, HeadPooling::first);
  const std::vector<float> pooled = keys(2, HeadPooling::first);
  EXPECT_EQ(notes_, std::vector<std::string>{"converted: 2 kv heads from 8 (first of each group)"});
  for (int head = 0; head < 2; ++head)
    for (int i = 0; i < kHeadDim * kHidden; ++i)
      ASSERT_EQ(pooled[head * kHeadDim * kHidden + i], stored[head * 4 * kHeadDim * kHidden + i]) << head << " " << i;
}

TEST_F(HeadPoolingTest, RandomHeadsAreThoseOfAModelWithoutACheckpoint) {
  const std::vector<float> pooled = keys(2, HeadPooling::random, 7);
  EXPECT_EQ(notes_, std::vector<std::string>{"converted: 2 kv heads from 8 (random values)"});
  ModelConfig few = config_;
  few.kv_heads = 2;
  const std::vector<std::int64_t> shape{2 * kHeadDim, kHidden};
  EXPECT_EQ(pooled, WeightStore(7, few).values(kKeys, shape, {2, HeadPooling::mean}));
  EXPECT_NE(pooled, keys(2, HeadPooling::random, 8)) << "the seed has no part in it";
}

TEST_F(HeadPoolingTest, WhatNeedsNoPoolingIsAsStored) {
  const std::vector<float> stored = keys(kStored, HeadPooling::mean);
  EXPECT_EQ(stored, keys(kStored, HeadPooling::random));
  EXPECT_EQ(stored, keys(kStored, HeadPooling::first));
}

}  // namespace
}  // namespace attnlab::model

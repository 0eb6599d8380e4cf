// Laws of the random weights: a value depends on seed, name and index only, and the values look normal.
#include "model/random_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "model/parameters.h"
#include "model/weight_store.h"
#include "reference/plugins.h"

namespace attnlab::model {
namespace {

std::vector<float> values(std::uint64_t seed, std::string_view name, std::int64_t first, std::size_t count,
                          float deviation = 1.0f) {
  std::vector<float> out(count);
  random_values(seed, name, first, out, deviation);
  return out;
}

double correlation(const std::vector<float>& a, const std::vector<float>& b, std::size_t lag = 0) {
  double sum = 0;
  for (std::size_t i = lag; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i - lag];
  return sum / static_cast<double>(a.size() - lag);
}

TEST(RandomValues, AreTheSameForEverySplitOfTheRange) {
  const std::vector<float> whole = values(7, "model.layers.0.mlp.up_proj.weight", 0, 10'007, 0.02f);
  for (const std::size_t piece : {1u, 3u, 64u, 1000u, 10'006u}) {
    std::vector<float> pieces(whole.size());
    for (std::size_t first = 0; first < whole.size(); first += piece) {
      const std::span<float> out = std::span(pieces).subspan(first, std::min(piece, whole.size() - first));
      random_values(7, "model.layers.0.mlp.up_proj.weight", static_cast<std::int64_t>(first), out, 0.02f);
    }
    EXPECT_EQ(pieces, whole) << "pieces of " << piece;
  }
}

TEST(RandomValues, AreTheSameOnEveryMachineForEver) {
  const std::vector<float> first = values(1, "lm_head.weight", 0, 3, 0.02f);
  const std::vector<float> far = values(1, "lm_head.weight", std::int64_t{1} << 40, 1, 0.02f);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(first[0]), 0x3c22701bu);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(first[1]), 0x3ba41a83u);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(first[2]), 0x3c3e54dcu);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(far[0]), 0xbcab5f57u);
}

TEST(RandomValues, HaveTheMomentsOfTheirDistribution) {
  constexpr std::size_t kCount = 4'000'000;
  const std::vector<float> sample = values(3, "model.embed_tokens.weight", 0, kCount);
  double sum = 0, squares = 0, fourth = 0;
  std::size_t beyond_one = 0, beyond_two = 0, beyond_three = 0;
  for (const float value : sample) {
    const double square = static_cast<double>(value) * value;
    sum += value;
    squares += square;
    fourth += square * square;
    beyond_one += std::abs(value) > 1;
    beyond_two += std::abs(value) > 2;
    beyond_three += std::abs(value) > 3;
  }
  const double error = 1 / std::sqrt(static_cast<double>(kCount));
  EXPECT_NEAR(sum / kCount, 0, 5 * error);
  EXPECT_NEAR(squares / kCount, 1, 5 * std::sqrt(1.85) * error);
  EXPECT_NEAR(fourth / kCount, 2.85, 5 * 9 * error);                // deviation of the fourth power: below 9
  const auto expect_share = [&](std::size_t count, double share) {  // of eight uniforms, exactly
    EXPECT_NEAR(static_cast<double>(count) / kCount, share, 5 * std::sqrt(share) * error);
  };
  expect_share(beyond_one, 0.32361);     // the normal: 0.3173
  expect_share(beyond_two, 0.04404);     // 0.0455
  expect_share(beyond_three, 0.001654);  // 0.0027
  EXPECT_LT(std::abs(*std::ranges::max_element(sample, {}, [](float v) { return std::abs(v); })), 4.9f);
}

TEST(RandomValues, AreIndependentAcrossIndicesNamesAndSeeds) {
  constexpr std::size_t kCount = 1'000'000;
  const double limit = 5 / std::sqrt(static_cast<double>(kCount));
  const std::vector<float> base = values(0, "a", 0, kCount);
  for (const std::size_t lag : {1u, 2u, 64u, 65'536u}) EXPECT_NEAR(correlation(base, base, lag), 0, limit) << lag;
  EXPECT_NEAR(correlation(base, values(0, "b", 0, kCount)), 0, limit);
  EXPECT_NEAR(correlation(base, values(1, "a", 0, kCount)), 0, limit);
  EXPECT_NEAR(correlation(base, values(0, "a", std::int64_t{1} << 32, kCount)), 0, limit);
}

TEST(RandomValues, ScaleWithTheDeviation) {
  const std::vector<float> one = values(5, "w", 0, 1000);
  const std::vector<float> quarter = values(5, "w", 0, 1000, 0.25f);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(quarter[i], 0.25f * one[i]);
  for (const float value : values(5, "w", 0, 10, 0.0f)) EXPECT_EQ(value, 0.0f);
}

// What is to start elsewhere than around 0 is drawn as the component says: here so that a state does not fade at once.
TEST(RandomStarts, OfGatedDeltaFadeAsItsAuthorsStart) {
  const CreateContext context{
      .layer = 0, .layers = 1, .hidden_dim = 64, .heads = 16, .kv_heads = 16, .head_dim = 4, .max_positions = 8};
  const auto variant = reference::plugins().attention("gated_delta", {}, context);
  ModelConfig config;
  config.hidden_dim = 64;
  config.heads = config.kv_heads = 16;
  config.head_dim = 4;
  config.initializer_range = 0.02;
  const auto started = [&](std::uint64_t seed, const std::string& name) {
    WeightStore weights(seed, config);
    BoundParameters bound;
    ParameterSet set;
    for (const ParameterSpec& spec : variant->parameters())
      bound.load(spec, "model.layers.0.self_attn." + spec.name, weights, set);
    const std::span<const float> found = set.values(name);
    return std::vector<float>(found.begin(), found.end());
  };
  const std::vector<float> rates = started(1, "A_log"), biases = started(1, "dt_bias");
  for (const float rate : rates) EXPECT_TRUE(rate >= std::log(16e-4) && rate <= std::log(16.0)) << rate;
  for (const float bias : biases) {
    const double step = std::log1p(std::exp(static_cast<double>(bias)));
    EXPECT_TRUE(step >= 0.00099 && step <= 0.101) << step;
  }
  EXPECT_EQ(std::set<float>(biases.begin(), biases.end()).size(), 16U) << "heads fade alike";
  EXPECT_EQ(rates, started(1, "A_log"));
  EXPECT_NE(rates, started(2, "A_log"));
  for (const float weight : started(1, "o_norm.weight")) EXPECT_EQ(weight, 1);
}

}  // namespace
}  // namespace attnlab::model

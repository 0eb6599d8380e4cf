// Layers that share something: rows of a cache (cross_layer), values of a forward pass (value_residual). Whatever the
// options of the block are, a layer that shares nothing is that of gqa to the bit, and one that reads the rows of
// another answers as if they were its own.
#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "reference/plugins.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 29;
constexpr int kHidden = 40;

const std::vector<OptionValues> kModifiers{{},
                                           {{"qk_norm", true}, {"softcap", 6.0}, {"gate", std::string("head")}},
                                           {{"sink_logit", true}, {"window", std::int64_t{20}}, {"scale", 0.3}},
                                           {{"qkv_bias", true}, {"o_bias", true}, {"gate", std::string("element")}}};

LayerSpec spec_of(const std::string& attention, int layer, OptionValues options) {
  return {.attention = attention,
          .attention_options = std::move(options),
          .position = "alibi",
          .cache = "window",
          .cache_options = {{"window", std::string("33")}},
          .context = {.layer = layer,
                      .layers = 4,
                      .hidden_dim = kHidden,
                      .heads = 4,
                      .kv_heads = 2,
                      .head_dim = 16,
                      .max_positions = 512,
                      .rms_norm_eps = 1e-5F},
          .seed = kSeed};
}

OptionValues with(OptionValues options, const std::string& name, OptionValue value) {
  options[name] = std::move(value);
  return options;
}

// A prompt in two pieces, then two steps.
struct Feeding {
  std::vector<Chunk> chunks;
  std::vector<std::vector<float>> hidden;
};
Feeding feeding() {
  Feeding made;
  Stream stream(kSeed);
  int first = 0;
  for (const int count : {50, 31, 1, 1}) {
    Chunk& chunk = made.chunks.emplace_back();
    chunk.add(first, count, count == 1 ? Phase::decode : first == 0 ? Phase::prefill : Phase::last_prefill);
    made.hidden.push_back(stream.normals(std::int64_t{count} * kHidden));
    first += count;
  }
  return made;
}

TEST(SharingLayers, AreThoseOfGqaWhereNothingIsShared) {
  const Feeding fed = feeding();
  for (const OptionValues& modifiers : kModifiers) {
    Layer plain(spec_of("gqa", 3, with(modifiers, "kv_heads", std::int64_t{2})));
    Layer alone(spec_of("cross_layer", 3, with(modifiers, "share", std::int64_t{1})));
    Layer owner(spec_of("cross_layer", 2, with(modifiers, "share", std::int64_t{2})));
    Layer first(spec_of("value_residual", 0, modifiers));
    for (std::size_t i = 0; i < fed.chunks.size(); ++i) {
      const std::vector<float> right = plain.forward(fed.chunks[i], fed.hidden[i]);
      EXPECT_TRUE(same_bits(alone.forward(fed.chunks[i], fed.hidden[i]), right)) << i;
      EXPECT_TRUE(same_bits(owner.forward(fed.chunks[i], fed.hidden[i]), right)) << i;
      EXPECT_TRUE(same_bits(first.forward(fed.chunks[i], fed.hidden[i]), right)) << i;
    }
  }
}

// With the same queries on the same input, which only the same rows can answer alike.
TEST(CrossLayer, AnswersFromTheRowsOfAnotherAsFromItsOwn) {
  const Feeding fed = feeding();
  for (const OptionValues& modifiers : kModifiers) {
    const OptionValues options = with(modifiers, "share", std::int64_t{3});
    Layer owner(spec_of("cross_layer", 0, options));
    Layer next(spec_of("cross_layer", 1, options));
    Layer last(spec_of("cross_layer", 2, options));
    EXPECT_EQ(owner.attention().kv_layer(), -1);
    EXPECT_EQ(next.attention().kv_layer(), 0);
    EXPECT_EQ(last.attention().kv_layer(), 0);
    for (const char* name : {"k_proj.weight", "v_proj.weight", "k_norm.weight", "k_proj.bias", "v_proj.bias"})
      EXPECT_FALSE(next.has(name)) << name;
    for (const char* name : {"q_norm.weight", "q_proj.bias", "sinks", "gate_proj.weight"})
      EXPECT_EQ(next.has(name), owner.has(name)) << name;
    Scratch scratch;
    DirectSteps steps(scratch);
    for (std::size_t i = 0; i < fed.chunks.size(); ++i) {
      LayerCache& cache = owner.cache();
      const std::vector<float> right = owner.forward_with(steps, fed.chunks[i], fed.hidden[i], cache, false);
      EXPECT_TRUE(same_bits(next.forward_with(steps, fed.chunks[i], fed.hidden[i], cache, false), right)) << i;
      EXPECT_TRUE(same_bits(last.forward_with(steps, fed.chunks[i], fed.hidden[i], cache, true), right)) << i;
    }
    EXPECT_EQ(owner.cache().rows(0, 0), 33);
  }
}

TEST(CrossLayer, GroupsLayersFromTheFirst) {
  std::vector<int> owners;
  for (int layer = 0; layer < 7; ++layer)
    owners.push_back(Layer(spec_of("cross_layer", layer, {{"share", std::int64_t{3}}})).attention().kv_layer());
  EXPECT_EQ(owners, (std::vector<int>{-1, 0, 0, -1, 3, 3, -1}));
}

// Layer 0 and a later one with the same weights on the same input: half of the same twice is the same.
TEST(ValueResidual, MixesTheValuesOfTheSameTokens) {
  const Feeding fed = feeding();
  for (const OptionValues& modifiers : kModifiers) {
    Layer first(spec_of("value_residual", 0, modifiers));
    Layer later(spec_of("value_residual", 2, modifiers));
    Scratch scratch;
    DirectSteps steps(scratch);
    for (std::size_t i = 0; i < fed.chunks.size(); ++i) {
      steps.begin_pass();
      const std::vector<float> right = first.forward_with(steps, fed.chunks[i], fed.hidden[i], first.cache(), true);
      EXPECT_TRUE(same_bits(later.forward_with(steps, fed.chunks[i], fed.hidden[i], later.cache(), true), right)) << i;
    }
  }
}

TEST(ValueResidual, HasFactorsOfItsOwnInEveryLayerButTheFirst) {
  for (const char* mix : {"fixed", "learned"})
    for (const int layer : {0, 1, 3})
      EXPECT_EQ(Layer(spec_of("value_residual", layer, {{"mix", std::string(mix)}})).has("value_lambdas"),
                mix == std::string("learned") && layer > 0)
          << mix << ", layer " << layer;
}

TEST(ValueResidual, NeedsLayerZeroToBeOfItsKind) {
  const Feeding fed = feeding();
  Layer later(spec_of("value_residual", 2, {}));
  try {
    (void)later.forward(fed.chunks[0], fed.hidden[0]);
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no layer before this one shares"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace attnlab

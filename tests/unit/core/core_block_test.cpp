// Laws of the softmax block and of the three variants that are made of it: agreement with the double reference for
// every modifier, and the variants equal each other where their head layouts do.
#include <functional>

#include <gtest/gtest.h>

#include "reference/block_reference.h"
#include "reference/rope_reference.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 101;

CreateContext context(int kv_heads = 2) {
  return {
      .hidden_dim = 40, .heads = 6, .kv_heads = kv_heads, .head_dim = 16, .max_positions = 512, .rms_norm_eps = 1e-5F};
}

struct Modified {
  std::string name;
  AttentionModifiers modifiers;
  OptionValues options;
};

std::vector<Modified> every_modifier() {
  using M = AttentionModifiers;
  std::vector<Modified> all{{"plain", {}, {}},
                            {"window", M{.window = 9}, {{"window", std::int64_t{9}}}},
                            {"scale", M{.scale = 0.4}, {{"scale", 0.4}}},
                            {"softcap", M{.softcap = 1.5}, {{"softcap", 1.5}}},
                            {"qk_norm", M{.qk_norm = true}, {{"qk_norm", true}}},
                            {"qk_norm_whole",
                             M{.qk_norm = true, .qk_norm_kind = QkNormKind::whole},
                             {{"qk_norm", true}, {"qk_norm_kind", std::string("whole")}}},
                            {"qk_norm_own",
                             M{.qk_norm = true, .qk_norm_kind = QkNormKind::own},
                             {{"qk_norm", true}, {"qk_norm_kind", std::string("own")}}},
                            {"sink_logit", M{.sink_logit = true}, {{"sink_logit", true}}},
                            {"gate_head", M{.gate = Gate::head}, {{"gate", std::string("head")}}},
                            {"gate_element", M{.gate = Gate::element}, {{"gate", std::string("element")}}},
                            {"qkv_bias", M{.qkv_bias = true}, {{"qkv_bias", true}}},
                            {"o_bias", M{.o_bias = true}, {{"o_bias", true}}}};
  Modified together{"all_together",
                    M{.window = 30,
                      .scale = 0.3,
                      .softcap = 4,
                      .qk_norm = true,
                      .sink_logit = true,
                      .gate = Gate::element,
                      .qkv_bias = true,
                      .o_bias = true},
                    {}};
  together.options = {
      {"window", std::int64_t{30}}, {"scale", 0.3},     {"softcap", 4.0}, {"qk_norm", true},
      {"sink_logit", true},         {"qkv_bias", true}, {"o_bias", true}, {"gate", std::string("element")}};
  all.push_back(together);
  return all;
}

OptionValues with_kv_heads(OptionValues options, std::int64_t kv_heads) {
  options["kv_heads"] = kv_heads;
  return options;
}

class EveryModifier : public testing::TestWithParam<Modified> {
 protected:
  // Norms of single heads are those of a model with as many kv heads.
  LayerSpec spec(const std::string& attention, const OptionValues& options) const {
    const auto chosen = options.find("kv_heads");
    const int kv_heads = attention == "mha"        ? 6
                         : attention == "mqa"      ? 1
                         : chosen == options.end() ? 2
                                                   : static_cast<int>(std::get<std::int64_t>(chosen->second));
    return {.attention = attention,
            .attention_options = options,
            .position = "rope",
            .context = context(GetParam().modifiers.qk_norm_kind == QkNormKind::own ? kv_heads : 2),
            .seed = kSeed};
  }
  // Two chunks of a ragged batch through a layer; the answers one after the other.
  static std::vector<float> run(LayerSpec spec) {
    spec.sequences = 2;
    Layer layer(spec);
    Stream stream(kSeed);
    std::vector<float> all = layer.forward(Chunk().add(0, 70).add(0, 3), stream.normals(73 * 40));
    const std::vector<float> then = layer.forward(Chunk().add(70, 1).add(3, 0), stream.normals(40));
    all.insert(all.end(), then.begin(), then.end());
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(SoftmaxBlock, EveryModifier, testing::ValuesIn(every_modifier()),
                         [](const auto& info) { return info.param.name; });

TEST_P(EveryModifier, AgreesWithTheReferenceForEveryVariantAndPositionScheme) {
  constexpr int kTokens = 75;
  const std::vector<float> hidden = Stream(kSeed).normals(kTokens * 40);
  const Rope rope{.head_dim = 16, .max_positions = 512};
  const auto alibi = [](double score, int head, Position query, Position key) {
    return score - std::exp2(-8.0 * (head < 4 ? (head + 1) / 4.0 : (2 * (head - 4) + 1) / 8.0)) * (query - key);
  };
  const std::vector<std::pair<std::string, Rules>> schemes{
      {"none", {}}, {"rope", {.rotate = rope.rule()}}, {"alibi", {.hook = alibi}}};
  const std::vector<std::pair<std::string, int>> variants{{"mha", 6}, {"gqa", 2}, {"mqa", 1}};
  for (const auto& [position, rules] : schemes)
    for (const auto& [attention, kv_heads] : variants)
      for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated}) {
        LayerSpec of_layer = spec(attention, GetParam().options);
        of_layer.position = position;
        of_layer.key_form = form;
        Layer layer(of_layer);
        const Block block{GetParam().modifiers, kv_heads, context()};
        const Answer right = block_reference(block, layer, hidden, rules);
        EXPECT_LT(normalised_error(layer.forward(Chunk().add(0, kTokens), hidden), right.out),
                  block_tolerance(block, kTokens, right.largest_score))
            << attention << ", " << position << (form == KeyForm::rotated ? ", rotated" : ", unrotated") << ", seed "
            << kSeed;
      }
}

TEST_P(EveryModifier, MakesGqaWithAHeadForEachQueryHeadMhaToTheBit) {
  EXPECT_TRUE(same_bits(run(spec("gqa", with_kv_heads(GetParam().options, 6))), run(spec("mha", GetParam().options))))
      << "seed " << kSeed;
}

TEST_P(EveryModifier, MakesGqaWithOneKvHeadMqaToTheBit) {
  EXPECT_TRUE(same_bits(run(spec("gqa", with_kv_heads(GetParam().options, 1))), run(spec("mqa", GetParam().options))))
      << "seed " << kSeed;
}

TEST_P(EveryModifier, GivesTheSameBitsForEveryNumberOfThreads) {
  const KeepThreads keep;
  set_threads(1);
  const std::vector<float> alone = run(spec("gqa", GetParam().options));
  for (const int count : {2, 3, 5}) {
    set_threads(count);
    EXPECT_TRUE(same_bits(run(spec("gqa", GetParam().options)), alone)) << count << " threads, seed " << kSeed;
  }
}

TEST_P(EveryModifier, DoesNotCareAboutTheSizesOfChunks) {
  const std::vector<float> hidden = Stream(kSeed).normals(64 * 40);
  const auto in_chunks = [&](const std::vector<int>& sizes) {
    Layer layer(spec("gqa", GetParam().options));
    std::vector<float> all;
    int done = 0;
    for (const int size : sizes) {
      const auto first = hidden.begin() + done * 40;
      const std::vector<float> out = layer.forward(Chunk().add(done, size), {first, first + size * 40});
      all.insert(all.end(), out.begin(), out.end());
      done += size;
    }
    return all;
  };
  const std::vector<float> whole = in_chunks({64});
  EXPECT_LT(normalised_error(in_chunks({1, 63}), whole), 1e-5) << "seed " << kSeed;
  EXPECT_LT(normalised_error(in_chunks({9, 20, 35}), whole), 1e-5) << "seed " << kSeed;
  EXPECT_LT(normalised_error(in_chunks(std::vector<int>(64, 1)), whole), 1e-5) << "seed " << kSeed;
}

TEST_P(EveryModifier, DeclaresTheParametersThatItBinds) {
  const Layer layer(spec("gqa", GetParam().options));
  std::map<std::string, std::vector<std::int64_t>> declared;
  for (const ParameterSpec& parameter : layer.attention().parameters()) {
    EXPECT_TRUE(declared.emplace(parameter.name, parameter.shape).second) << parameter.name << " is declared twice";
    EXPECT_EQ(parameter.form == ParameterForm::matrix, parameter.shape.size() == 2) << parameter.name;
  }
  std::map<std::string, std::vector<std::int64_t>> right{{"q_proj.weight", {96, 40}},
                                                         {"k_proj.weight", {32, 40}},
                                                         {"v_proj.weight", {32, 40}},
                                                         {"o_proj.weight", {40, 96}}};
  const AttentionModifiers& m = GetParam().modifiers;
  if (m.qkv_bias) right.insert({{"q_proj.bias", {96}}, {"k_proj.bias", {32}}, {"v_proj.bias", {32}}});
  if (m.o_bias) right.insert({"o_proj.bias", {40}});
  if (m.qk_norm && m.qk_norm_kind == QkNormKind::heads)
    right.insert({{"q_norm.weight", {16}}, {"k_norm.weight", {16}}});
  if (m.qk_norm_kind == QkNormKind::whole) right.insert({{"q_norm.weight", {96}}, {"k_norm.weight", {32}}});
  if (m.qk_norm_kind == QkNormKind::own) {
    for (int head = 0; head < 6; ++head) right.insert({"q_norm." + std::to_string(head) + ".weight", {16}});
    for (int head = 0; head < 2; ++head) right.insert({"k_norm." + std::to_string(head) + ".weight", {16}});
  }
  if (m.sink_logit) right.insert({"sinks", {6}});
  if (m.gate == Gate::head) right.insert({"gate_proj.weight", {6, 40}});
  if (m.gate == Gate::element) right.insert({"gate_proj.weight", {96, 40}});
  EXPECT_EQ(declared, right);
}

TEST(Variants, HaveTheKvHeadsThatTheirNameSays) {
  const auto kv_heads = [](const std::string& attention, const OptionValues& options) {
    return plugins().attention(attention, options, context())->kv_shape().kv_heads;
  };
  EXPECT_EQ(kv_heads("mha", {}), 6);
  EXPECT_EQ(kv_heads("mqa", {}), 1);
  EXPECT_EQ(kv_heads("gqa", {}), 2) << "as the checkpoint has";
  EXPECT_EQ(kv_heads("gqa", with_kv_heads({}, 3)), 3);
}

TEST(Variants, RefuseKvHeadsThatDoNotDivideTheHeads) {
  for (const std::int64_t kv_heads : {4, 5, 7, 12}) {
    try {
      static_cast<void>(plugins().attention("gqa", with_kv_heads({}, kv_heads), context()));
      FAIL() << kv_heads << " kv heads were taken";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("6 heads"), std::string::npos) << error.what();
    }
  }
}

TEST(Variants, KeepTheKvHeadsThatHaveNormsOfTheirOwn) {
  const OptionValues own{{"qk_norm", true}, {"qk_norm_kind", std::string("own")}};
  EXPECT_NO_THROW(static_cast<void>(plugins().attention("gqa", own, context())));
  try {
    static_cast<void>(plugins().attention("gqa", with_kv_heads(own, 1), context()));
    FAIL() << "norms of two heads were taken for one";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("norms of single heads"), std::string::npos) << error.what();
  }
}

// Steps from the first token on: to the bit. A prompt in blocks: the block product may round differently in a block of
// another height, and what the cache holds of it with it.
TEST(Variants, AnswerABatchAsItsSequencesAlone) {
  for (const bool only_steps : {true, false}) {
    const LayerSpec spec{.position = "rope", .context = context(), .sequences = 2, .seed = kSeed};
    Layer both(spec);
    Layer first(spec);
    Layer second(spec);
    Stream stream(kSeed);
    Position done = 0;
    for (const int tokens : only_steps ? std::vector{1, 1, 1, 1} : std::vector{20, 100, 1, 1}) {
      const std::vector<float> a = stream.normals(tokens * 40);
      const std::vector<float> b = stream.normals(tokens * 40);
      std::vector<float> hidden = a;
      hidden.insert(hidden.end(), b.begin(), b.end());
      const std::vector<float> together = both.forward(Chunk().add(done, tokens).add(done, tokens), hidden);
      std::vector<float> apart = first.forward(Chunk().add(done, tokens).add(done, 0), a);
      const std::vector<float> other = second.forward(Chunk().add(done, 0).add(done, tokens), b);
      apart.insert(apart.end(), other.begin(), other.end());
      if (only_steps)
        EXPECT_TRUE(same_bits(together, apart)) << "seed " << kSeed;
      else
        EXPECT_LT(normalised_error(together, apart), 1e-5) << tokens << " tokens, seed " << kSeed;
      done += tokens;
    }
  }
}

}  // namespace
}  // namespace attnlab

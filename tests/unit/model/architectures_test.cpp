// Configs of single families: what they mean where a key is missing, and what is refused, by name.
#include <cmath>

#include <nlohmann/json.hpp>

#include "model/config/model_config.h"
#include "unit/model_test_files.h"

namespace attnlab::model {
namespace {

using model_test::expect_mentions;
using model_test::refusal;
using nlohmann::json;

ModelConfig read(const json& config) {
  std::vector<ConfigEntry> entries;
  for (const auto& [key, value] : config.items()) entries.push_back({key, value, "config.json"});
  return model_config(entries, UnknownKeys::ignored, "config.json");
}

json of(const std::string& architecture, const json& more = json::object()) {
  json config{{"architectures", {architecture}}, {"hidden_size", 64},        {"num_hidden_layers", 6},
              {"num_attention_heads", 4},        {"intermediate_size", 128}, {"vocab_size", 100}};
  config.update(more);
  return config;
}

TEST(Architectures, HaveDefaultsOfTheirOwn) {
  const ModelConfig neox = read(of("GPTNeoXForCausalLM"));
  EXPECT_EQ(neox.rotary_dim(), 4);
  EXPECT_EQ(neox.residual, Residual::parallel);
  EXPECT_TRUE(neox.qkv_bias && neox.o_bias && neox.mlp_bias);
  EXPECT_EQ(neox.activation, Activation::gelu);
  EXPECT_EQ(read(of("GPTNeoXForCausalLM", {{"rotary_pct", 0.5}, {"rotary_emb_base", 500}})).rope_theta, 500);

  const ModelConfig gemma = read(of("Gemma2ForCausalLM", {{"sliding_window", 8}, {"query_pre_attn_scalar", 25}}));
  EXPECT_TRUE(gemma.has_window(0) && !gemma.has_window(1) && gemma.has_window(2));
  EXPECT_DOUBLE_EQ(gemma.scale_of(3), 0.2);
  EXPECT_DOUBLE_EQ(gemma.embedding_scale, 8);
  EXPECT_EQ(gemma.tie_word_embeddings, std::optional(true));
  EXPECT_EQ(gemma.attention_softcap, 0);
  EXPECT_EQ(gemma.activation, Activation::gelu_pytorch_tanh);

  const ModelConfig smol = read(of("SmolLM3ForCausalLM"));
  EXPECT_EQ(smol.unrotated_layers, (std::vector<bool>{false, false, false, true, false, false}));
  EXPECT_EQ(read(of("GraniteForCausalLM")).scale_of(0), 1);
  EXPECT_DOUBLE_EQ(read(of("CohereForCausalLM")).logit_scale, 0.0625);
  EXPECT_EQ(read(of("GptOssForCausalLM", {{"num_local_experts", 4}, {"num_experts_per_tok", 2}})).rope_theta, 150000);
}

TEST(Architectures, Qwen3MoeDiffersFromQwen3) {
  const json experts{{"num_experts", 16}, {"moe_intermediate_size", 8}};
  const auto moe = [&](json more) {
    more.update(experts);
    return read(of("Qwen3MoeForCausalLM", more));
  };
  EXPECT_EQ(moe({}).head_dim, 16) << "hidden_size / num_attention_heads; Qwen 3 has 128";
  EXPECT_EQ(read(of("Qwen3ForCausalLM")).head_dim, 128);
  const ModelConfig windowed = moe({{"use_sliding_window", true}, {"sliding_window", 8}, {"max_window_layers", 6}});
  EXPECT_TRUE(windowed.has_window(0) && windowed.has_window(5)) << "max_window_layers says nothing";
  EXPECT_FALSE(moe({{"sliding_window", 8}}).has_window(0));
}

TEST(Architectures, TieOnlyWhatIsTiedByDefault) {
  EXPECT_EQ(read(of("GPTNeoXForCausalLM")).tie_word_embeddings, std::optional(false));
  EXPECT_EQ(read(of("CohereForCausalLM")).tie_word_embeddings, std::optional(true));
  EXPECT_EQ(read(of("LlamaForCausalLM")).tie_word_embeddings, std::nullopt) << "tied if no head is stored";
}

TEST(Architectures, ReadTheirOwnSpellings) {
  const json gpt2{{"architectures", {"GPT2LMHeadModel"}},
                  {"n_embd", 60},
                  {"n_layer", 2},
                  {"n_head", 5},
                  {"n_inner", nullptr},
                  {"vocab_size", 100}};
  const ModelConfig read_gpt2 = read(gpt2);
  EXPECT_EQ(read_gpt2.hidden_dim, 60);
  EXPECT_EQ(read_gpt2.intermediate_dim, 240);
  EXPECT_EQ(read_gpt2.max_positions, 1024);
  EXPECT_TRUE(read_gpt2.learned_positions);
  json by_layer = gpt2;
  by_layer["scale_attn_by_inverse_layer_idx"] = true;
  EXPECT_DOUBLE_EQ(read(by_layer).scale_of(1), 1 / std::sqrt(12.0) / 2);
  json without = gpt2;
  without.erase("n_embd");
  const std::string text = refusal([&] { (void)read(without); });
  expect_mentions(text, {"n_embd", "missing"});
  EXPECT_EQ(text.find("n_embd", text.find("n_embd") + 1), std::string::npos) << "said twice: " << text;
  // hidden_activation comes before hidden_act, which may be wrong in old files.
  EXPECT_EQ(read(of("Gemma2ForCausalLM", {{"hidden_act", "silu"}, {"hidden_activation", "gelu"}})).activation,
            Activation::gelu);
  EXPECT_EQ(read(of("Gemma2ForCausalLM", {{"hidden_act", "silu"}, {"hidden_activation", nullptr}})).activation,
            Activation::silu);
}

TEST(Architectures, Gemma3RotatesByTheTypeOfALayer) {
  const json window{{"sliding_window", 8}, {"sliding_window_pattern", 3}};
  const ModelConfig old = read(of("Gemma3ForCausalLM", window));
  EXPECT_EQ(old.rope_theta, 1e6);
  EXPECT_EQ(old.window_rope_theta, std::optional(10000.0));
  EXPECT_TRUE(old.has_window(0) && old.has_window(1) && !old.has_window(2));
  json modern = of("Gemma3ForCausalLM", window);
  modern["rope_parameters"] = {{"full_attention", {{"rope_type", "linear"}, {"factor", 8}, {"rope_theta", 2e6}}},
                               {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 5000}}}};
  const ModelConfig by_type = read(modern);
  EXPECT_EQ(by_type.rope_theta, 2e6);
  EXPECT_EQ(by_type.window_rope_theta, std::optional(5000.0));
  ASSERT_TRUE(by_type.rope_scaling);
  EXPECT_EQ(by_type.rope_scaling->type, "linear");
  json window_alone = modern;
  window_alone["rope_parameters"]["full_attention"] = nullptr;
  EXPECT_EQ(read(window_alone).window_rope_theta, std::optional(5000.0));
  const auto wrong = [&](const char* key, const json& value, const std::vector<std::string>& parts) {
    json config = modern;
    config["rope_parameters"]["sliding_attention"][key] = value;
    expect_mentions(refusal([&] { (void)read(config); }), parts);
  };
  wrong("rope_type", "linear", {"sliding_attention.rope_type", "not scaled"});
  wrong("type", "yarn", {"sliding_attention.rope_type", "contradicts"});
  wrong("factor", 8, {"sliding_attention.factor", "default has no such key"});
  wrong("partial_rotary_factor", 0.5, {"sliding_attention.partial_rotary_factor", "0.5"});
  modern["rope_theta"] = 1e6;
  expect_mentions(refusal([&] { (void)read(modern); }), {"rope_theta", "contradicts"});
}

TEST(Architectures, RefuseWhatTheyWouldOnlyGuess) {
  const json experts{{"num_local_experts", 4}, {"num_experts_per_tok", 2}};
  const json deepseek{
      {"kv_lora_rank", 8},     {"qk_nope_head_dim", 8},    {"qk_rope_head_dim", 4},      {"v_head_dim", 8},
      {"n_routed_experts", 8}, {"num_experts_per_tok", 2}, {"moe_intermediate_size", 16}};
  const auto with = [](json config, const char* key, const json& value) {
    config[key] = value;
    return config;
  };
  const auto v2 = [&](const char* key, const json& value) {
    return of("DeepseekV2ForCausalLM", with(deepseek, key, value));
  };
  const std::vector<std::pair<json, std::vector<std::string>>> cases{
      {of("Gemma3ForCausalLM", {{"attn_logit_softcapping", 30}}), {"attn_logit_softcapping", "ignores"}},
      {of("Gemma2ForCausalLM", {{"final_logit_softcapping", 0}}), {"final_logit_softcapping: 0"}},
      {of("Gemma2ForCausalLM", {{"sliding_window", 0}}), {"sliding_window: 0"}},
      {of("Gemma2ForCausalLM",
          {{"sliding_window", nullptr}, {"layer_types", json(std::vector<std::string>(6, "sliding_attention"))}}),
       {"layer_types", "gives no length"}},
      {of("Gemma2ForCausalLM", {{"use_bidirectional_attention", true}}), {"use_bidirectional_attention"}},
      {of("LlamaForCausalLM", {{"attention_chunk_size", 8192}}), {"attention_chunk_size"}},
      {of("GPTNeoXForCausalLM", {{"rotary_pct", 0}}), {"rotary_pct: 0"}},
      {of("GPTNeoXForCausalLM", {{"hidden_act", "mish"}}), {"hidden_act", "mish"}},
      {of("SmolLM3ForCausalLM", {{"no_rope_layers", {1, 0}}}), {"no_rope_layers", "6 numbers"}},
      {of("SmolLM3ForCausalLM", {{"no_rope_layer_interval", 0}}), {"no_rope_layer_interval: 0"}},
      {of("GraniteForCausalLM", {{"logits_scaling", 0}}), {"logits_scaling: 0"}},
      {of("GptOssForCausalLM", with(experts, "num_experts_per_tok", 5)), {"num_experts_per_tok", "5 are chosen of 4"}},
      {of("GptOssForCausalLM", with(experts, "swiglu_limit", -1)), {"swiglu_limit: -1"}},
      {of("Qwen3MoeForCausalLM", {{"num_experts", 4}, {"moe_intermediate_size", 8}, {"mlp_only_layers", {9}}}),
       {"mlp_only_layers", "0 to 5"}},
      {v2("topk_method", "noaux_tc"), {"topk_method", "noaux_tc", "group_limited_greedy"}},
      {v2("norm_topk_prob", true), {"norm_topk_prob"}},
      {v2("moe_layer_freq", 2), {"moe_layer_freq"}},
      {v2("q_lora_rank", 0), {"q_lora_rank: 0", "null"}},
      {v2("n_group", 0), {"n_group: 0"}},
      {v2("layer_types", json(std::vector<std::string>(6, "sliding_attention"))), {"has no sliding_attention"}},
      {v2("rope_scaling", {{"rope_type", "longrope"},
                           {"short_factor", {1, 1, 1}},
                           {"long_factor", {1, 1}},
                           {"original_max_position_embeddings", 8},
                           {"factor", 2}}),
       {"short_factor has 3 numbers", "half of the 4 rotary dimensions"}},
      {v2("n_routed_experts", 1 << 20), {"1048576 experts are more than"}},
      {of("GPT2LMHeadModel", {{"layer_types", json(std::vector<std::string>(6, "sliding_attention"))}}),
       {"has no sliding_attention"}},
      {of("GptOssForCausalLM", with(experts, "experts_per_token", 3)), {"num_experts_per_tok", "contradicts"}},
      {of("SmolLM3ForCausalLM", {{"no_rope_layer_interval", 0}, {"no_rope_layers", {1, 1, 1, 1, 1, 1}}}),
       {"no_rope_layer_interval: 0"}},
      {of("StableLmForCausalLM", {{"num_attention_heads", 1 << 17}, {"head_dim", 1}, {"qk_layernorm", true}}),
       {"131072 heads, each with a norm of its own"}},
      {of("DeepseekV3ForCausalLM", with(deepseek, "scoring_func", "softmax")), {"scoring_func", "sigmoid"}},
      {of("DeepseekV3ForCausalLM", with(deepseek, "n_group", 3)), {"n_group", "no 3 equal groups"}},
      {of("DeepseekV3ForCausalLM", with(with(deepseek, "n_group", 4), "topk_group", 5)), {"topk_group", "of 4 groups"}},
      {of("Phi3ForCausalLM", {{"attention_bias", true}}), {"attention_bias"}}};
  int index = 0;
  for (const auto& [config, parts] : cases) {
    SCOPED_TRACE(testing::Message() << "case " << index++);
    expect_mentions(refusal([&] { (void)read(config); }), parts);
  }
}

TEST(Architectures, OfOthersAreNoModelYamls) {
  std::vector<ConfigEntry> entries;
  const json config = of("GPTNeoXForCausalLM");
  for (const auto& [key, value] : config.items()) entries.push_back({key, value, "m.yaml"});
  const std::string text = refusal([&] { (void)model_config(entries, UnknownKeys::refused, "m.yaml"); });
  expect_mentions(text, {"\"GPTNeoXForCausalLM\" is not supported", "LlamaForCausalLM"});
  EXPECT_EQ(text.find("Gemma"), std::string::npos) << text;
  EXPECT_FALSE(can_be_trained(architecture_named("gpt_neox")));
  EXPECT_TRUE(can_be_trained(architecture_named("qwen3")));
}

}  // namespace
}  // namespace attnlab::model

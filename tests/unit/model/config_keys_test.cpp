// No key of a config is read and then dropped: each changes what the model is, or is refused; and what the model's
// config gives to components is taken by one of them.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include <fmt/ranges.h>

#include "assembly/model_defaults.h"
#include "reference/plugins.h"
#include "unit/model_config_samples.h"

namespace attnlab::model {
namespace {

using model_test::checkpoint;
using model_test::llama;
using model_test::of;
using model_test::with;
using model_test::yaml_refusal;
using nlohmann::json;

std::string shown(const OptionValue& value) {
  return std::visit(
      [](const auto& held) {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::vector<double>> ||
                      std::is_same_v<std::decay_t<decltype(held)>, std::vector<std::int64_t>>)
          return fmt::format("{}", fmt::join(held, ","));
        else if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::string>)
          return held;
        else if constexpr (std::is_arithmetic_v<std::decay_t<decltype(held)>>)
          return fmt::format("{}", held);
        else
          return std::string("other");
      },
      value);
}

// Everything that a decoder, its components and a generation take from a config.
std::string what_is_used(const ModelConfig& config) {
  std::string text = fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} [{}]", config.hidden_dim, config.layers, config.intermediate_dim,
      config.heads, config.kv_heads, config.head_dim, config.vocab_size, config.max_positions, config.rms_norm_eps,
      static_cast<int>(config.norm), static_cast<int>(config.mlp), static_cast<int>(config.activation), config.mlp_bias,
      config.initializer_range,
      config.tie_word_embeddings ? (*config.tie_word_embeddings ? "tied" : "not tied") : "as stored",
      fmt::join(config.eos_tokens, ","));
  for (int layer = 0; layer < config.layers; ++layer)
    for (const auto& [key, value] : experiment::model_defaults(config, layer)) text += " " + key + "=" + shown(value);
  return text;
}

struct KeyUse {
  std::string changes;                            // a value of the key that is not the default
  std::string architecture = "LlamaForCausalLM";  // that has the key
  std::string beside = "{}";                      // what else the config needs
};

// bos_token_id is checked and not used: what a text begins with is the tokenizer's affair.
const std::map<std::string, KeyUse> kUses{
    {"architectures", {R"({"architectures":["Qwen3ForCausalLM"]})", "LlamaForCausalLM", R"({"head_dim":128})"}},
    {"hidden_size", {R"({"hidden_size":128})", "LlamaForCausalLM", R"({"head_dim":16})"}},
    {"num_hidden_layers", {R"({"num_hidden_layers":3})"}},
    {"intermediate_size", {R"({"intermediate_size":161})"}},
    {"num_attention_heads", {R"({"num_attention_heads":8})", "LlamaForCausalLM", R"({"head_dim":16})"}},
    {"num_key_value_heads", {R"({"num_key_value_heads":2})"}},
    {"head_dim", {R"({"head_dim":8})"}},
    {"vocab_size", {R"({"vocab_size":300})"}},
    {"rms_norm_eps", {R"({"rms_norm_eps":1e-3})"}},
    {"rope_theta", {R"({"rope_theta":5000})"}},
    {"rope_traditional", {R"({"rope_traditional":true})"}},
    {"rope_scaling", {R"({"rope_scaling":{"rope_type":"linear","factor":2}})"}},
    {"tie_word_embeddings", {R"({"tie_word_embeddings":false})"}},
    {"max_position_embeddings", {R"({"max_position_embeddings":99})"}},
    {"eos_token_id", {R"({"eos_token_id":7})"}},
    {"layer_types",
     {R"({"layer_types":["full_attention","sliding_attention"]})", "MistralForCausalLM", R"({"sliding_window":9})"}},
    {"partial_rotary_factor", {R"({"partial_rotary_factor":0.5})"}},
    {"kv_lora_rank", {R"({"kv_lora_rank":24})"}},
    {"q_lora_rank", {R"({"q_lora_rank":24})"}},
    {"qk_nope_head_dim", {R"({"qk_nope_head_dim":24})"}},
    {"qk_rope_head_dim", {R"({"qk_rope_head_dim":24})"}},
    {"v_head_dim", {R"({"v_head_dim":24})"}},
    {"attention_bias", {R"({"attention_bias":true})"}},
    {"mlp_bias", {R"({"mlp_bias":true})"}},
    {"hidden_act", {R"({"hidden_act":"gelu"})"}},
    {"norm", {R"({"norm":"layer"})", "AttnLabForCausalLM"}},
    {"mlp", {R"({"mlp":"plain"})", "AttnLabForCausalLM"}},
    {"activation", {R"({"activation":"relu2"})", "AttnLabForCausalLM"}},
    {"layer_norm_eps", {R"({"layer_norm_eps":1e-3})", "AttnLabForCausalLM", R"({"norm":"layer"})"}},
    {"sliding_window", {R"({"sliding_window":9})", "MistralForCausalLM"}},
    {"use_sliding_window", {R"({"use_sliding_window":true})", "Qwen2ForCausalLM", R"({"max_window_layers":1})"}},
    {"max_window_layers", {R"({"max_window_layers":1})", "Qwen2ForCausalLM", R"({"use_sliding_window":true})"}},
};
const std::set<std::string> kRefusedOrChecked{"bos_token_id"};
const std::set<std::string> kOfRandomWeights{"initializer_range", "attention_initializer_range"};

// Every key that a model YAML may have, as the refusal of an unknown one lists them.
std::vector<std::string> known_keys() {
  const std::string text = yaml_refusal(with(llama(), R"({"zzzzzzzzzzzzzzzz":1})"));
  const std::string before = "known are ";
  std::istringstream list(text.substr(text.find(before) + before.size()));
  std::vector<std::string> keys;
  for (std::string key; std::getline(list, key, ',');) keys.push_back(key.substr(key.find_first_not_of(' ')));
  return keys;
}

TEST(ConfigKeys, EachChangesWhatIsUsed) {
  for (const auto& [key, use] : kUses) {
    const json before = with(of(use.architecture), use.beside);
    EXPECT_NE(what_is_used(checkpoint(with(before, use.changes))), what_is_used(checkpoint(before))) << key;
  }
  EXPECT_NE(model_test::yaml(with(llama(), R"({"initializer_range":0.1})")).initializer_range,
            model_test::yaml(llama()).initializer_range);
  EXPECT_EQ(model_test::yaml(with(llama(), R"({"attention_initializer_range":0.1})")).attention_initializer_range, 0.1);
  EXPECT_FALSE(model_test::yaml(llama()).attention_initializer_range.has_value());
}

TEST(ConfigKeys, NoneIsForgottenHere) {
  const std::vector<std::string> keys = known_keys();
  ASSERT_GT(keys.size(), 20u);
  for (const std::string& key : keys)
    EXPECT_EQ(kUses.contains(key) + kRefusedOrChecked.contains(key) + kOfRandomWeights.contains(key), 1) << key;
}

TEST(ConfigKeys, EachOfAScalingChangesWhatIsUsed) {
  const std::string lists = R"("short_factor":[1,1,1,1,1,1,1,1],"long_factor":[2,2,2,2,2,2,2,2])";
  const auto scaled = [](const std::string& fields, const std::string& map) {
    return what_is_used(checkpoint(with(llama(), "{\"" + map + "\":{" + fields + "}}")));
  };
  struct Scaling {
    std::string base;
    std::vector<std::string> changes;
  };
  const std::vector<Scaling> scalings{
      {R"("rope_type":"linear","factor":2)", {R"("factor":3)", R"("rope_theta":7)", R"("partial_rotary_factor":0.5)"}},
      {R"("rope_type":"llama3","factor":2,"low_freq_factor":1,"high_freq_factor":4,
          "original_max_position_embeddings":32)",
       {R"("low_freq_factor":2)", R"("high_freq_factor":5)", R"("original_max_position_embeddings":64)"}},
      {R"("rope_type":"yarn","factor":4)",
       {R"("original_max_position_embeddings":64)", R"("attention_factor":1.5)", R"("beta_fast":16)",
        R"("beta_slow":2)", R"("mscale":0.7)", R"("mscale_all_dim":0.8)", R"("truncate":false)"}},
      {R"("rope_type":"longrope","original_max_position_embeddings":32,)" + lists,
       {R"("factor":3)", R"("attention_factor":1.5)", R"("short_factor":[3,1,1,1,1,1,1,1])",
        R"("long_factor":[3,2,2,2,2,2,2,2])"}}};
  for (const auto& [base, changes] : scalings)
    for (const std::string& change : changes) {  // of two keys of a name the last counts
      const json fields = with(json::parse("{" + base + "}"), "{" + change + "}");
      const std::string inside = fields.dump().substr(1, fields.dump().size() - 2);
      for (const std::string map : {"rope_scaling", "rope_parameters"})
        EXPECT_NE(scaled(inside, map), scaled(base, map)) << map << " " << change;
      EXPECT_EQ(scaled(inside, "rope_scaling"), scaled(inside, "rope_parameters")) << change;
    }
}

TEST(ConfigKeys, OfOtherPlacesChangeWhatIsUsed) {
  const json scaled = with(llama(), R"({"rope_scaling":{"rope_type":"yarn","factor":4}})");
  EXPECT_NE(what_is_used(checkpoint(with(scaled, R"({"original_max_position_embeddings":64})"))),
            what_is_used(checkpoint(scaled)));
  const model_test::TempFolder folder;
  folder.write("config.json", llama().dump());
  const std::string before = what_is_used(read_config_json(folder.path()));
  folder.write("generation_config.json", R"({"eos_token_id":[7]})");
  EXPECT_NE(what_is_used(read_config_json(folder.path())), before);
}

TEST(ConfigKeys, WhatAConfigGivesToComponentsIsTakenByOne) {
  std::set<std::string> taken;
  for (const Descriptor& component : reference::plugins().components())
    for (const OptionSpec& option : component.options)
      if (!option.from_model.empty()) taken.insert(std::string(option.from_model));
  const std::string latents =
      R"("kv_lora_rank":24,"q_lora_rank":24,"qk_nope_head_dim":24,"qk_rope_head_dim":24,"v_head_dim":24)";
  const std::string all_of_yarn = R"("rope_type":"yarn","factor":4,"original_max_position_embeddings":64,
      "attention_factor":1.5,"beta_fast":16,"beta_slow":2,"mscale":1,"mscale_all_dim":1,"truncate":false)";
  const std::string all_of_llama3 = R"("rope_type":"llama3","factor":2,"low_freq_factor":1,"high_freq_factor":4,
      "original_max_position_embeddings":32)";
  const std::string all_of_longrope = R"("rope_type":"longrope","factor":2,"original_max_position_embeddings":32,
      "attention_factor":2,"short_factor":[1,1,1,1,1,1,1,1],"long_factor":[2,2,2,2,2,2,2,2])";
  for (const std::string& scaling : {all_of_yarn, all_of_llama3, all_of_longrope}) {
    const ModelConfig config = checkpoint(
        of("MistralForCausalLM", "{\"sliding_window\":9," + latents + ",\"rope_scaling\":{" + scaling + "}}"));
    for (const auto& [key, value] : experiment::model_defaults(config, 0))
      EXPECT_TRUE(taken.contains(key)) << key << " is taken by no component";
  }
}

}  // namespace
}  // namespace attnlab::model

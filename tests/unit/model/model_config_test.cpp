// Laws of model configs: the defaults of each architecture are those of the reference, and whatever is wrong is
// reported with file, key, value and remedy, all problems at once.
#include "model/config/model_config.h"

#include "model/checkpoints/checkpoint_folder.h"
#include "unit/model_config_samples.h"

namespace attnlab::model {
namespace {

using model_test::BadConfig;
using model_test::checkpoint;
using model_test::checkpoint_refusal;
using model_test::expect_mentions;
using model_test::llama;
using model_test::of;
using model_test::refusal;
using model_test::TempFolder;
using model_test::with;
using model_test::with_null;
using model_test::yaml;
using model_test::yaml_refusal;
using nlohmann::json;

TEST(ModelConfig, LlamaDefaultsAreThoseOfTheReference) {
  for (const ModelConfig& config : {checkpoint(llama()), yaml(llama())}) {
    EXPECT_EQ(config.architecture, architecture_named("llama"));
    EXPECT_EQ(architecture_name(config.architecture), "LlamaForCausalLM");
    EXPECT_EQ(config.hidden_dim, 64);
    EXPECT_EQ(config.layers, 2);
    EXPECT_EQ(config.intermediate_dim, 160);
    EXPECT_EQ(config.heads, 4);
    EXPECT_EQ(config.kv_heads, 4);
    EXPECT_EQ(config.head_dim, 16);
    EXPECT_EQ(config.vocab_size, 256);
    EXPECT_EQ(config.max_positions, 2048);
    EXPECT_EQ(config.rms_norm_eps, 1e-6f);
    EXPECT_EQ(config.rope_theta, 10000);
    EXPECT_FALSE(config.rope_traditional);
    EXPECT_EQ(config.partial_rotary_factor, 1);
    EXPECT_EQ(config.rotary_dim(), 16);
    EXPECT_FALSE(config.rope_scaling.has_value());
    EXPECT_FALSE(config.qkv_bias || config.o_bias || config.mlp_bias || config.qk_norm != QkNorm::none);
    EXPECT_FALSE(config.tie_word_embeddings.has_value());
    EXPECT_FALSE(config.sliding_window.has_value());
    EXPECT_TRUE(config.eos_tokens.empty());
    EXPECT_EQ(config.initializer_range, 0.02);
  }
}

TEST(ModelConfig, GivenValuesReplaceEveryDefault) {
  const ModelConfig config = yaml(with(llama(), R"({"num_key_value_heads":2,"head_dim":32,"rms_norm_eps":1e-5,
      "max_position_embeddings":512,"rope_theta":5000,"rope_traditional":true,"partial_rotary_factor":0.5,
      "attention_bias":true,"mlp_bias":true,"tie_word_embeddings":false,"bos_token_id":0,"eos_token_id":[2,3],
      "initializer_range":0.1,"hidden_act":"silu"})"));
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 32);
  EXPECT_EQ(config.rms_norm_eps, 1e-5f);
  EXPECT_EQ(config.max_positions, 512);
  EXPECT_EQ(config.rope_theta, 5000);
  EXPECT_TRUE(config.rope_traditional);
  EXPECT_EQ(config.rotary_dim(), 16);
  EXPECT_TRUE(config.qkv_bias && config.o_bias && config.mlp_bias);
  EXPECT_EQ(config.tie_word_embeddings, std::optional<bool>(false));
  EXPECT_EQ(config.eos_tokens, (std::vector<int>{2, 3}));
  EXPECT_EQ(config.initializer_range, 0.1);
}

TEST(ModelConfig, WidthsOfLatentAttentionAreThoseThatWereGiven) {
  EXPECT_TRUE(checkpoint(llama()).latent_dims.empty());
  const json config =
      with(llama(), R"({"kv_lora_rank":24,"qk_nope_head_dim":16,"qk_rope_head_dim":8,"v_head_dim":12})");
  std::map<std::string, int, std::less<>> right{
      {"kv_lora_rank", 24}, {"qk_nope_head_dim", 16}, {"qk_rope_head_dim", 8}, {"v_head_dim", 12}};
  EXPECT_EQ(yaml(config).latent_dims, right);
  EXPECT_EQ(checkpoint(with_null(config, "q_lora_rank")).latent_dims, right);  // as DeepSeek-V2-Lite has it
  right["q_lora_rank"] = 20;
  EXPECT_EQ(checkpoint(with(config, R"({"q_lora_rank":20})")).latent_dims, right);
}

TEST(ModelConfig, NullMeansNotSetWhereConfigsWriteIt) {
  json config = llama();
  for (const char* key : {"num_key_value_heads", "head_dim", "rope_scaling", "tie_word_embeddings", "bos_token_id"}) {
    config[key] = nullptr;
  }
  EXPECT_EQ(yaml(config).kv_heads, 4);
  EXPECT_FALSE(yaml(config).tie_word_embeddings.has_value());
  expect_mentions(yaml_refusal(with_null(llama(), "rms_norm_eps")), {"rms_norm_eps is null"});
  EXPECT_EQ(checkpoint(with_null(llama(), "rope_theta")).rope_theta, 10000);  // in a config.json every null does
  EXPECT_FALSE(checkpoint(with_null(llama(), "attention_bias")).qkv_bias);
  expect_mentions(checkpoint_refusal(with_null(llama(), "hidden_size")), {"hidden_size is missing"});
}

TEST(ModelConfig, MistralHasASlidingWindowUnlessItIsNull) {
  EXPECT_EQ(checkpoint(of("MistralForCausalLM", R"({"sliding_window":16})")).sliding_window, 16);
  EXPECT_EQ(checkpoint(of("MistralForCausalLM")).sliding_window, 4096);
  EXPECT_FALSE(checkpoint(with_null(of("MistralForCausalLM"), "sliding_window")).sliding_window.has_value());
  EXPECT_FALSE(checkpoint(of("MistralForCausalLM", R"({"sliding_window":0})")).sliding_window.has_value());
  expect_mentions(checkpoint_refusal(with(llama(), R"({"layer_types":["full_attention","sliding_attention"]})")),
                  {"layer_types", "LlamaForCausalLM has no sliding_attention"});
  const std::string nonsense = R"({"layer_types":["nonsense","full_attention"]})";
  expect_mentions(checkpoint_refusal(with_null(of("MistralForCausalLM", nonsense), "sliding_window")),
                  {"layer_types: \"nonsense\" is not supported"});
  const std::string second_slides = R"({"layer_types":["full_attention","sliding_attention"]})";
  EXPECT_TRUE(checkpoint(of("MistralForCausalLM", second_slides)).has_window(1));
  EXPECT_FALSE(checkpoint(of("MistralForCausalLM", second_slides)).has_window(0));
  expect_mentions(checkpoint_refusal(with_null(of("MistralForCausalLM", second_slides), "sliding_window")),
                  {"layer_types: layer 1 has sliding_attention, but sliding_window gives no length"});
  const ModelConfig config = checkpoint(of("MistralForCausalLM", R"({"attention_bias":true,"mlp_bias":true})"));
  EXPECT_FALSE(config.qkv_bias || config.o_bias || config.mlp_bias);
  EXPECT_FALSE(checkpoint(with(llama(), R"({"sliding_window":16})")).sliding_window.has_value());
}

TEST(ModelConfig, Qwen2AlwaysHasQkvBiasAndNoOutputBias) {
  const ModelConfig config = checkpoint(of("Qwen2ForCausalLM", R"({"attention_bias":true})"));
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.o_bias || config.mlp_bias || config.qk_norm != QkNorm::none);
  EXPECT_EQ(config.head_dim, 16);
}

TEST(ModelConfig, Qwen3HasQkNormAndItsOwnHeadDim) {
  const ModelConfig config = checkpoint(of("Qwen3ForCausalLM"));
  EXPECT_TRUE(config.qk_norm != QkNorm::none);
  EXPECT_FALSE(config.qkv_bias || config.o_bias);
  EXPECT_EQ(config.head_dim, 128);
  const ModelConfig given = checkpoint(of("Qwen3ForCausalLM", R"({"head_dim":32,"attention_bias":true})"));
  EXPECT_EQ(given.head_dim, 32);
  EXPECT_TRUE(given.qkv_bias && given.o_bias);
}

TEST(ModelConfig, QwenWindowsHoldOnlyIfUsedAndFromTheirFirstLayer) {
  for (const std::string name : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    const auto window = [&](const std::string& changes) {
      const ModelConfig config = checkpoint(of(name, changes));
      int first = 0;  // layer with a window
      while (config.sliding_window && !config.has_window(first)) ++first;
      return std::pair{config.sliding_window.value_or(0), first};
    };
    using Pair = std::pair<int, int>;
    EXPECT_EQ(window(R"({"sliding_window":16})"), Pair(0, 0));
    EXPECT_EQ(window(R"({"sliding_window":16,"use_sliding_window":false,"max_window_layers":0})"), Pair(0, 0));
    EXPECT_EQ(window(R"({"sliding_window":16,"use_sliding_window":true,"max_window_layers":0})"), Pair(16, 0));
    EXPECT_EQ(window(R"({"sliding_window":16,"use_sliding_window":true,"max_window_layers":1})"), Pair(16, 1));
    EXPECT_EQ(window(R"({"sliding_window":16,"use_sliding_window":true,"max_window_layers":2})"), Pair(0, 0));
    EXPECT_EQ(window(R"({"sliding_window":16,"use_sliding_window":true})"), Pair(0, 0));  // from layer 28 on
    EXPECT_EQ(window(R"({"use_sliding_window":true,"max_window_layers":0})"), Pair(4096, 0));
    EXPECT_EQ(window(R"({"use_sliding_window":true,"sliding_window":16,
                         "layer_types":["full_attention","sliding_attention"]})"),
              Pair(16, 1));
    EXPECT_EQ(window(R"({"use_sliding_window":true,"sliding_window":16,"max_window_layers":0,
                         "layer_types":["full_attention","full_attention"]})"),
              Pair(0, 0));
    json null_window = of(name, R"({"use_sliding_window":true,"max_window_layers":0})");
    EXPECT_FALSE(checkpoint(with_null(null_window, "sliding_window")).sliding_window.has_value());
    const ModelConfig interleaved = checkpoint(of(name, R"({"use_sliding_window":true,"sliding_window":16,
                                                            "layer_types":["sliding_attention","full_attention"]})"));
    EXPECT_TRUE(interleaved.has_window(0));
    EXPECT_FALSE(interleaved.has_window(1));
    const std::string slides = R"("layer_types":["sliding_attention","full_attention"])";
    for (const std::string off : {R"("sliding_window":16)", R"("use_sliding_window":false)"})
      expect_mentions(checkpoint_refusal(of(name, "{" + off + "," + slides + "}")),
                      {"layer_types: layer 0 has sliding_attention, but use_sliding_window is not true"});
    expect_mentions(checkpoint_refusal(of(name, R"({"use_sliding_window":true,"sliding_window":0,)" + slides + "}")),
                    {"layer_types: layer 0 has sliding_attention, but sliding_window gives no length"});
    for (const std::string types :
         {R"(["full_attention"])", R"(["full_attention","chunked_attention"])", R"("full_attention")", "[1,2]"}) {
      const std::string changes = R"({"use_sliding_window":true,"layer_types":)" + types + "}";
      expect_mentions(checkpoint_refusal(of(name, changes)), {"layer_types", "sliding_attention"});
    }
  }
}

TEST(ModelConfig, ArchitecturesAreNamedOrFollowFromTheModelType) {
  for (const auto& [type, name] : std::vector<std::pair<std::string, std::string>>{{"llama", "LlamaForCausalLM"},
                                                                                   {"mistral", "MistralForCausalLM"},
                                                                                   {"qwen2", "Qwen2ForCausalLM"},
                                                                                   {"qwen3", "Qwen3ForCausalLM"}}) {
    json config = llama();
    config.erase("architectures");
    config["model_type"] = type;
    EXPECT_EQ(architecture_name(checkpoint(config).architecture), name);
    config["architectures"] = nullptr;
    EXPECT_EQ(architecture_name(checkpoint(config).architecture), name);
    EXPECT_EQ(architecture_name(checkpoint(of(name)).architecture), name);
    EXPECT_EQ(architecture_name(yaml(of(name)).architecture), name);
  }
  json unnamed = llama();
  unnamed.erase("architectures");
  EXPECT_EQ(yaml(unnamed).architecture, architecture_named("llama"));
}

TEST(ModelConfig, OtherArchitecturesAreRefusedByNameAndAlone) {
  const std::vector<std::string> supported{"LlamaForCausalLM, MistralForCausalLM",
                                           "Qwen2ForCausalLM, Qwen3ForCausalLM"};
  const auto expect_refused = [&](const std::string& text, const std::string& part) {
    expect_mentions(text, {part});
    expect_mentions(text, supported);
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  };
  expect_refused(checkpoint_refusal(json::parse(R"({"architectures":["FalconForCausalLM"],"n_embd":768})")),
                 "\"FalconForCausalLM\"");
  expect_refused(checkpoint_refusal(json::parse(R"({"model_type":"falcon"})")), "\"falcon\"");
  expect_refused(checkpoint_refusal(json::parse("{}")), "config.json: architectures is missing");
  expect_refused(checkpoint_refusal(with(llama(), R"({"architectures":[]})")), "architectures: a list of 0");
  const std::string two = R"({"architectures":["LlamaForCausalLM","LlamaModel"]})";
  EXPECT_EQ(architecture_name(checkpoint(with(llama(), two)).architecture), "LlamaForCausalLM");
  expect_refused(checkpoint_refusal(with(llama(), R"({"architectures":[1]})")), "architectures");
  expect_refused(checkpoint_refusal(json::parse(R"({"model_type":7})")), "model_type: 7");
  expect_refused(yaml_refusal(with(llama(), R"({"architectures":"LlamaForCausalLM"})")), "m.yaml:1:1: architectures");
}

TEST(ModelConfig, TokenIdsOutsideTheVocabularyCountAsAbsentInCheckpointsOnly) {
  const json config = with(llama(), R"({"bos_token_id":256,"eos_token_id":[-1,5,128001]})");
  EXPECT_EQ(checkpoint(config).eos_tokens, std::vector<int>{5});
  expect_mentions(yaml_refusal(config),
                  {"bos_token_id: 256", "eos_token_id: -1", "eos_token_id: 128001", "from 0 to 255"});
  expect_mentions(checkpoint_refusal(with(llama(), R"({"bos_token_id":"1"})")), {"bos_token_id: \"1\""});
  expect_mentions(checkpoint_refusal(with(llama(), R"({"eos_token_id":[2,1.5]})")), {"eos_token_id: 1.5"});
}

TEST(ModelConfig, UnknownKeysAreIgnoredInCheckpointsAndRefusedInYaml) {
  const json misspelt = with(llama(), R"({"num_key_value_head":2,"torch_dtype":"float32"})");
  EXPECT_EQ(checkpoint(misspelt).kv_heads, 4);
  expect_mentions(yaml_refusal(misspelt),
                  {"num_key_value_head: unknown key", "did you mean num_key_value_heads?", "torch_dtype: unknown key"});
  expect_mentions(yaml_refusal(with(llama(), R"({"sliding_window":16})")),
                  {"sliding_window: LlamaForCausalLM has no such key", "MistralForCausalLM"});
  expect_mentions(yaml_refusal(of("Qwen2ForCausalLM", R"({"attention_bias":true})")),
                  {"attention_bias", "Qwen3ForCausalLM"});
}

TEST(ModelConfig, EveryProblemIsReportedAtOnceWithItsPlace) {
  json config = with(llama(), R"({"hidden_size":"64","num_hidden_layers":10001,"rms_norm_eps":0,"colour":1})");
  config.erase("vocab_size");
  try {
    static_cast<void>(yaml(config));
    FAIL() << "nothing was refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.problems().size(), 5u) << error.what();
    expect_mentions(error.what(), {"m.yaml:2:1: colour: ", "m.yaml:3:1: hidden_size: \"64\" ",
                                   "num_hidden_layers: 10001 ", "rms_norm_eps: 0 ", "m.yaml: vocab_size is missing; "});
  }
}

class EveryBadConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(EveryBadConfig, IsRefusedInOneLineWithKeyValueAndRemedy) {
  model_test::expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    ModelConfig, EveryBadConfig,
    testing::Values(
        BadConfig{
            "CountIsText", R"({"hidden_size":"64"})", {"hidden_size: \"64\"", "whole number from 1 to 2147483647"}},
        BadConfig{"CountIsFraction", R"({"hidden_size":64.5})", {"hidden_size: 64.5", "whole number"}},
        BadConfig{"CountIsTrue", R"({"num_attention_heads":true})", {"num_attention_heads: true", "whole number"}},
        BadConfig{"CountIsList", R"({"intermediate_size":[160]})", {"intermediate_size: a list", "whole number"}},
        BadConfig{
            "CountIsMap", R"({"num_key_value_heads":{"a":1}})", {"num_key_value_heads: an object", "whole number"}},
        BadConfig{"CountIsZero", R"({"num_attention_heads":0})", {"num_attention_heads: 0"}},
        BadConfig{"CountIsNegative", R"({"vocab_size":-1})", {"vocab_size: -1"}},
        BadConfig{
            "CountIsTooLarge", R"({"max_position_embeddings":2147483648})", {"max_position_embeddings: 2147483648"}},
        BadConfig{
            "CountIsBeyond63Bits", R"({"hidden_size":18446744073709551615})", {"hidden_size: 18446744073709551615"}},
        BadConfig{"CountIsBeyond64Bits", R"({"hidden_size":1e300})", {"hidden_size: 1e+300"}},
        BadConfig{
            "CountIsALongText", R"({"hidden_size":")" + std::string(100'000, '6') + "\"}", {"hidden_size: \"666"}},
        BadConfig{"TooManyLayers", R"({"num_hidden_layers":10001})", {"num_hidden_layers: 10001", "1 to 10000"}},
        BadConfig{
            "HeadsNotDivisible", R"({"num_key_value_heads":3})", {"num_key_value_heads", "num_attention_heads 4", "3"}},
        BadConfig{"MoreKvHeadsThanHeads",
                  R"({"num_key_value_heads":8})",
                  {"num_key_value_heads", "num_attention_heads 4", "8"}},
        BadConfig{
            "HiddenNotDivisible", R"({"hidden_size":66})", {"hidden_size: 66", "num_attention_heads 4", "head_dim"}},
        BadConfig{"HeadDimIsZero", R"({"head_dim":0})", {"head_dim: 0"}},
        BadConfig{"LatentIsZero", R"({"kv_lora_rank":0})", {"kv_lora_rank: 0", "1 to 65536"}},
        BadConfig{"QueryRankIsNegative", R"({"q_lora_rank":-1})", {"q_lora_rank: -1", "0 to 65536"}},
        BadConfig{"NoRotaryDim", R"({"partial_rotary_factor":0.05})", {"partial_rotary_factor: 0 of 16"}},
        BadConfig{"PartialAboveOne", R"({"partial_rotary_factor":1.5})", {"partial_rotary_factor: 1.5", "at most 1"}},
        BadConfig{"EpsilonIsZero", R"({"rms_norm_eps":0})", {"rms_norm_eps: 0", "greater than 0"}},
        BadConfig{"EpsilonIsNegative", R"({"rms_norm_eps":-1e-5})", {"rms_norm_eps: -1e-05"}},
        BadConfig{"EpsilonVanishesAsFloat", R"({"rms_norm_eps":1e-60})", {"rms_norm_eps: 1e-60"}},
        BadConfig{"EpsilonOverflowsAsFloat", R"({"rms_norm_eps":1e60})", {"rms_norm_eps: 1e+60"}},
        BadConfig{"EpsilonIsText", R"({"rms_norm_eps":"1e-5"})", {"rms_norm_eps: \"1e-5\" is no number"}},
        BadConfig{"ThetaIsZero", R"({"rope_theta":0})", {"rope_theta: 0", "greater than 0"}},
        BadConfig{"ThetaIsTrue", R"({"rope_theta":true})", {"rope_theta: true", "number"}},
        BadConfig{"FlagIsNumber", R"({"attention_bias":1})", {"attention_bias: 1", "true or false"}},
        BadConfig{
            "FlagIsText", R"({"tie_word_embeddings":"false"})", {"tie_word_embeddings: \"false\"", "true or false"}},
        BadConfig{"MlpBiasIsText", R"({"mlp_bias":"no"})", {"mlp_bias: \"no\"", "true or false"}},
        BadConfig{"TraditionalIsNumber", R"({"rope_traditional":0})", {"rope_traditional: 0", "true or false"}},
        BadConfig{"OtherActivation", R"({"hidden_act":"mish"})", {"hidden_act: \"mish\"", "silu, "}},
        BadConfig{"ActivationIsNumber", R"({"hidden_act":1})", {"hidden_act: 1"}},
        BadConfig{"VocabularyTooLarge",
                  R"({"hidden_size":2147483640,"vocab_size":2147483647})",
                  {"vocab_size: vocab_size 2147483647 x hidden_size 2147483640"}},
        BadConfig{"MlpTooLarge", R"({"hidden_size":1073741824,"intermediate_size":1073741824})", {"intermediate_size"}},
        BadConfig{"HeadsTooWide",
                  R"({"num_attention_heads":65536,"head_dim":65536})",
                  {"num_attention_heads", "head_dim 65536"}},
        BadConfig{"AttentionTooLarge",
                  R"({"hidden_size":1073741824,"vocab_size":1,"intermediate_size":1,"head_dim":536870910})",
                  {"num_attention_heads", "head_dim"}},
        BadConfig{"LayersTooMany",
                  R"({"hidden_size":4194304,"intermediate_size":4194304,"num_hidden_layers":10000})",
                  {"num_hidden_layers: 10000 layers"}}),
    [](const auto& info) { return info.param.name; });

TEST(ModelConfig, WholeNumbersMayBeWrittenAsFractions) {
  const ModelConfig config = checkpoint(with(llama(), R"({"vocab_size":256.0,"max_position_embeddings":64.0})"));
  EXPECT_EQ(config.vocab_size, 256);
  EXPECT_EQ(config.max_positions, 64);
}

TEST(ModelConfig, QuantisedCheckpointsAreNamed) {
  expect_mentions(checkpoint_refusal(with(llama(), R"({"quantization_config":{"quant_method":"awq","bits":4}})")),
                  {"quantised with \"awq\"", "F32, F16 or BF16"});
  expect_mentions(checkpoint_refusal(with(llama(), R"({"quantization_config":{"group_size":64}})")),
                  {"quantization_config: the checkpoint is quantised, which"});
  expect_mentions(checkpoint_refusal(with(llama(), R"({"quantization":{"group_size":64,"bits":4}})")),
                  {"quantization: the checkpoint is quantised to 4 bits"});
  expect_mentions(checkpoint_refusal(with(llama(), R"({"compression_config":{"quant_method":"compressed-tensors"}})")),
                  {"compression_config: ", "quantised with \"compressed-tensors\""});
  EXPECT_EQ(checkpoint(with(llama(), R"({"quantization_config":{}})")).heads, 4);
  EXPECT_EQ(checkpoint(with_null(llama(), "quantization_config")).heads, 4);
}

TEST(ModelConfig, GenerationConfigHasTheLastWordOnTheEnd) {
  const TempFolder folder;
  folder.write("config.json", with(llama(), R"({"eos_token_id":5})").dump());
  EXPECT_EQ(read_config_json(folder.path()).eos_tokens, std::vector<int>{5});
  folder.write("generation_config.json", R"({"eos_token_id":[10,12.0],"temperature":0.6})");
  EXPECT_EQ(read_config_json(folder.path()).eos_tokens, (std::vector<int>{10, 12}));
  folder.write("generation_config.json", R"({"temperature":0.6})");
  EXPECT_EQ(read_config_json(folder.path()).eos_tokens, std::vector<int>{5});
  folder.write("generation_config.json", R"({"eos_token_id":"</s>"})");
  expect_mentions(refusal([&] { static_cast<void>(read_config_json(folder.path())); }),
                  {"generation_config.json: eos_token_id: \"</s>\" is no token"});
}

// As a download that broke off leaves it: to take the file for absent would end texts elsewhere without a word.
TEST(ModelConfig, FilesThatAreLinksWhichLeadNowhereAreNotTakenForAbsent) {
  for (const auto& [name, part] : std::vector<std::pair<std::string, std::string>>{
           {"config.json", "config.json: no such file"},
           {"generation_config.json", "generation_config.json: no such file"},
           {"adapter_config.json", "adapter_config.json: an adapter lies beside the model"}}) {
    const TempFolder folder;
    if (name != "config.json") folder.write("config.json", llama().dump());
    std::filesystem::create_symlink("nowhere", folder.path() / name);
    expect_mentions(refusal([&] { static_cast<void>(read_config_json(folder.path())); }), {part});
  }
}

// Only a rotation needs pairs, and an arm may have none: rope refuses them itself.
TEST(ModelConfig, HeadsAndRotatedSharesMayBeOdd) {
  const json odd = with(llama(), R"({"head_dim":15})");
  const json share = with(llama(), R"({"partial_rotary_factor":0.45})");
  EXPECT_EQ(checkpoint(odd).rotary_dim(), 15);
  EXPECT_EQ(yaml(odd).rotary_dim(), 15);
  EXPECT_EQ(checkpoint(share).rotary_dim(), 7);
  EXPECT_EQ(yaml(share).rotary_dim(), 7);
}

TEST(ModelConfig, FoldersThatAreSomethingElseAreRecognised) {
  for (const auto& [file, part] : std::vector<std::pair<std::string, std::string>>{
           {"adapter_config.json", "adapter"}, {"params.json", "params.json"}, {"model-q4.gguf", "GGUF"}}) {
    const TempFolder folder;
    folder.write(file, "{}");
    expect_mentions(refusal([&] { static_cast<void>(read_config_json(folder.path())); }),
                    {"holds no config.json", part});
  }
}

TEST(ModelConfig, AnAdapterBesideAModelIsNotDroppedInSilence) {
  const TempFolder folder;
  folder.write("config.json", llama().dump());
  EXPECT_EQ(read_config_json(folder.path()).heads, 4);
  folder.write("adapter_config.json", "{}");
  expect_mentions(refusal([&] { static_cast<void>(read_config_json(folder.path())); }),
                  {"adapter_config.json: ", "adapters are not applied"});
}

TEST(CheckpointFolder, OfACacheEntryIsTheSnapshotThatIsMain) {
  const TempFolder folder;
  const std::filesystem::path entry = folder.path() / "models--org--name";
  const auto snapshot = [&](const std::string& name) {
    std::filesystem::create_directories(entry / "snapshots" / name);
    folder.write("models--org--name/snapshots/" + name + "/config.json", "{}");
    return entry / "snapshots" / name;
  };
  std::filesystem::create_directories(entry / "snapshots");
  expect_mentions(refusal([&] { static_cast<void>(checkpoint_folder(entry)); }), {"without a complete snapshot"});
  const std::filesystem::path first = snapshot("abc");
  EXPECT_EQ(checkpoint_folder(entry), first);
  EXPECT_EQ(checkpoint_folder(first), first);
  EXPECT_EQ(checkpoint_folder(entry / "").lexically_normal(), first);
  EXPECT_EQ(checkpoint_folder(entry / ".").lexically_normal(), first);
  const std::filesystem::path second = snapshot("def");
  expect_mentions(refusal([&] { static_cast<void>(checkpoint_folder(entry)); }), {"2 snapshots", "abc, def"});
  std::filesystem::create_directories(entry / "refs");
  folder.write("models--org--name/refs/main", "def\n");
  EXPECT_EQ(checkpoint_folder(entry), second);
  std::filesystem::remove(second / "config.json");  // an older one must not stand in for it
  expect_mentions(refusal([&] { static_cast<void>(checkpoint_folder(entry)); }),
                  {"refs/main names the snapshot def", "abc"});
}

TEST(ModelConfig, ConfigFilesThatCannotBeReadAreNamed) {
  const TempFolder folder;
  const std::string path = (folder.path() / "config.json").string();
  const auto read_refusal = [](const std::filesystem::path& place) {
    return refusal([&] { static_cast<void>(read_config_json(place)); });
  };
  expect_mentions(read_refusal(folder.path() / "absent"), {(folder.path() / "absent").string() + ": no such folder"});
  expect_mentions(read_refusal(folder.path()), {folder.path().string() + ": holds no config.json"});
  for (const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
           {"", ":1:1: not JSON"},
           {"{\n  \"hidden_size\": 64,\n}", ":3:1: not JSON"},
           {"[1]", ": is no JSON object but a list"},
           {"{\"hidden_size\":64,\"hidden_size\":64}", ": the key \"hidden_size\" occurs twice"},
           {"{\"rope_theta\":1e999}", ": not JSON"},
           {"{\"rope_theta\":NaN}", ":1:15: not JSON"},
           {"{\"a\":\"\xff\"}", ":1:7: not JSON"},
           {std::string("{}\0", 3), ":1:3: not JSON: a NUL byte"},
           {std::string(1'000'000, '['), ": JSON that nests deeper than 64"},
           {llama().dump().substr(1), ":1:16: not JSON"}}) {
    folder.write("config.json", text);
    expect_mentions(read_refusal(folder.path()), {path + part});
  }
  folder.write("config.json", "{}");
  std::filesystem::resize_file(path, 20'000'000);
  expect_mentions(read_refusal(folder.path()), {path + ": 20000000 bytes"});
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);
  expect_mentions(read_refusal(folder.path()), {path + ": is no regular file"});
  std::filesystem::remove(path);
  folder.write("config.json", with(llama(), R"({"num_hidden_layers":0})").dump());
  expect_mentions(read_refusal(folder.path()), {path + ": num_hidden_layers: 0"});
}

TEST(ModelConfig, EveryModelFixtureIsRead) {
  const std::filesystem::path models = std::filesystem::path(ATTNLAB_SHARED_DIR) / "fixtures" / "models";
  if (!std::filesystem::exists(models)) GTEST_SKIP() << "no " << models;
  for (const auto& model : std::filesystem::directory_iterator(models))
    EXPECT_EQ(read_config_json(model.path()).hidden_dim, 64);
  EXPECT_EQ(read_config_json(models / "stories260K").kv_heads, 4);
  EXPECT_EQ(read_config_json(models / "stories260K").tie_word_embeddings, std::optional<bool>(true));
  EXPECT_EQ(read_config_json(models / "llama3-rope").rope_scaling->type, "llama3");
  EXPECT_EQ(read_config_json(models / "yarn-rope").rope_scaling->original_max_positions, 32);
  EXPECT_EQ(read_config_json(models / "linear-rope").rope_scaling->factor, 4);
  EXPECT_EQ(read_config_json(models / "mistral").sliding_window, 16);
  EXPECT_FALSE(read_config_json(models / "qwen2").sliding_window.has_value());
  EXPECT_TRUE(read_config_json(models / "qwen2").qkv_bias);
  EXPECT_TRUE(read_config_json(models / "qwen3").qk_norm != QkNorm::none);
  EXPECT_EQ(read_config_json(models / "qwen3").head_dim, 32);
}

}  // namespace
}  // namespace attnlab::model

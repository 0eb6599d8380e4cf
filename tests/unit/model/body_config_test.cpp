// The keys of a body: what each name means, what a model with them is called, and what is refused.
#include <map>

#include "unit/model_config_samples.h"

namespace attnlab::model {
namespace {

using model_test::checkpoint;
using model_test::checkpoint_refusal;
using model_test::expect_mentions;
using model_test::of;
using model_test::with;
using model_test::with_null;
using model_test::yaml;
using model_test::yaml_refusal;
using nlohmann::json;

// Of a model YAML that names no architecture.
json unnamed(const std::string& changes = "{}") {
  json config = model_test::llama();
  config.erase("architectures");
  return with(config, changes);
}
json without_mlp(const std::string& changes = "{}") {
  json config = unnamed(R"({"mlp":"none"})");
  config.erase("intermediate_size");
  return with(config, changes);
}

TEST(BodyConfig, IsThatOfALlamaWhereNothingIsSaid) {
  for (const ModelConfig& config : {yaml(unnamed()), checkpoint(model_test::llama())}) {
    EXPECT_EQ(config.architecture, architecture_named("llama"));
    EXPECT_EQ(config.norm, NormKind::rms);
    EXPECT_EQ(config.mlp, MlpKind::gated);
    EXPECT_EQ(config.activation, Activation::silu);
    EXPECT_EQ(config.rms_norm_eps, 1e-6F);
  }
}

TEST(BodyConfig, IsNamedAfterWhatItIs) {
  for (const char* of_llama : {R"({"mlp":"gated"})", R"({"norm":"rms"})", R"({"activation":"silu"})",
                               R"({"hidden_act":"swish"})", R"({"mlp":"gated","norm":"rms","activation":"silu"})"})
    EXPECT_EQ(yaml(unnamed(of_llama)).architecture, architecture_named("llama")) << of_llama;
  for (const char* of_none :
       {R"({"mlp":"plain"})", R"({"norm":"layer"})", R"({"activation":"gelu"})", R"({"hidden_act":"relu"})"})
    EXPECT_EQ(yaml(unnamed(of_none)).architecture, architecture_named("attnlab")) << of_none;
  EXPECT_EQ(yaml(without_mlp()).architecture, architecture_named("attnlab"));
  EXPECT_EQ(architecture_type(architecture_named("attnlab")), "attnlab");
  // One that says its name keeps it: transformers has Llamas of other activations too.
  const ModelConfig named = yaml(of("LlamaForCausalLM", R"({"hidden_act":"gelu"})"));
  EXPECT_EQ(named.architecture, architecture_named("llama"));
  EXPECT_EQ(named.activation, Activation::gelu);
}

TEST(BodyConfig, KnowsTheNamesOfActivationsThatCheckpointsHave) {
  const std::map<std::string, Activation> names{{"silu", Activation::silu},
                                                {"swish", Activation::silu},
                                                {"gelu", Activation::gelu},
                                                {"gelu_python", Activation::gelu},
                                                {"gelu_pytorch_tanh", Activation::gelu_pytorch_tanh},
                                                {"gelu_new", Activation::gelu_pytorch_tanh},
                                                {"gelu_fast", Activation::gelu_pytorch_tanh},
                                                {"relu", Activation::relu},
                                                {"relu2", Activation::relu2}};
  for (const auto& [name, activation] : names) {
    for (const char* architecture :
         {"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "AttnLabForCausalLM"})
      EXPECT_EQ(checkpoint(of(architecture, R"({"hidden_act":")" + name + "\"}")).activation, activation) << name;
    EXPECT_EQ(yaml(unnamed(R"({"activation":")" + name + "\"}")).activation, activation) << name;
    EXPECT_EQ(yaml(unnamed(R"({"hidden_act":"swish","activation":"silu"})")).activation, Activation::silu);
  }
}

TEST(BodyConfig, OfALayerNormTakesItsEpsilonByEitherName) {
  EXPECT_EQ(yaml(unnamed(R"({"norm":"layer"})")).rms_norm_eps, 1e-5F);
  EXPECT_EQ(yaml(unnamed(R"({"norm":"layer","rms_norm_eps":1e-3})")).rms_norm_eps, 1e-3F);
  EXPECT_EQ(yaml(unnamed(R"({"norm":"layer","layer_norm_eps":1e-4})")).rms_norm_eps, 1e-4F);
  EXPECT_EQ(yaml(unnamed(R"({"norm":"layer","layer_norm_eps":1e-4,"rms_norm_eps":1e-4})")).rms_norm_eps, 1e-4F);
}

TEST(BodyConfig, WithoutAnMlpHasNoWidthOfOne) {
  for (const ModelConfig& config : {yaml(without_mlp()), yaml(with_null(without_mlp(), "intermediate_size")),
                                    checkpoint(with(without_mlp(), R"({"architectures":["AttnLabForCausalLM"]})"))}) {
    EXPECT_EQ(config.mlp, MlpKind::none);
    EXPECT_EQ(config.intermediate_dim, 0);
  }
}

TEST(BodyConfig, RefusesWhatItDoesNotHaveWithPlaceAndRemedy) {
  const std::map<std::string, std::vector<std::string>> refused{
      {R"({"norm":"batch"})", {"norm: \"batch\" is not supported; supported are rms, layer"}},
      {R"({"norm":1})", {"norm: 1 is no text"}},
      {R"({"mlp":"deep"})", {"mlp: \"deep\" is not supported; supported are gated, plain, none"}},
      {R"({"mlp":true})", {"mlp: true is no text"}},
      {R"({"activation":"mish"})", {"activation: \"mish\" is not supported; supported are silu, "}},
      {R"({"activation":"gelu","hidden_act":"relu"})", {"activation contradicts hidden_act; keep one of the two"}},
      {R"({"layer_norm_eps":1e-5})", {"layer_norm_eps: the norm is rms; write rms_norm_eps, or norm: layer"}},
      {R"({"norm":"layer","layer_norm_eps":1e-5,"rms_norm_eps":1e-6})",
       {"layer_norm_eps contradicts rms_norm_eps; keep one of the two"}},
      {R"({"norm":"layer","layer_norm_eps":0})", {"layer_norm_eps: 0 is out of range"}},
      {R"({"mlp":"none"})", {"intermediate_size: there is no MLP (mlp: none); remove it"}},
      {R"({"attention_initializer_range":0})", {"attention_initializer_range: 0 is out of range"}},
      {R"({"attention_initializer_range":"wide"})", {"attention_initializer_range: \"wide\" is no number"}},
      {R"({"mpl":"none"})", {"mpl: unknown key of a model; did you mean mlp?"}}};
  for (const auto& [changes, parts] : refused) {
    const std::string text = yaml_refusal(unnamed(changes));
    EXPECT_TRUE(text.starts_with("m.yaml:")) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    expect_mentions(text, parts);
  }
  for (const char* key : {R"({"mlp_bias":true})", R"({"activation":"gelu"})", R"({"hidden_act":"silu"})"})
    expect_mentions(yaml_refusal(without_mlp(key)), {": there is no MLP (mlp: none); remove it"});
  for (const char* architecture : {"LlamaForCausalLM", "Qwen3ForCausalLM"})
    expect_mentions(yaml_refusal(of(architecture, R"({"norm":"layer"})")),
                    {std::string("norm: ") + architecture + " has no such key", "AttnLabForCausalLM"});
  expect_mentions(checkpoint_refusal(of("AttnLabForCausalLM", R"({"mlp":"deep"})")), {"mlp: \"deep\""});
}

}  // namespace
}  // namespace attnlab::model

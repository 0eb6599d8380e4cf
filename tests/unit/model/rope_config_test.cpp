// Laws of the rotary keys: every spelling that configs have used means the same, each scaling has the fields it needs,
// and no other scaling is taken for one of them.
#include <gtest/gtest.h>

#include "model/config/model_config.h"
#include "unit/model_config_samples.h"

namespace attnlab::model {
namespace {

using model_test::BadConfig;
using model_test::checkpoint;
using model_test::checkpoint_refusal;
using model_test::expect_mentions;
using model_test::llama;
using model_test::with;
using model_test::yaml;
using model_test::yaml_refusal;
using nlohmann::json;

std::string scaled(const std::string& fields) {
  return "{\"rope_scaling\":{" + fields + "}}";
}
const std::string kEightTwos = "[2,2,2,2,2,2,2,2]";

class EveryBadRopeConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(EveryBadRopeConfig, IsRefusedInOneLineWithKeyValueAndRemedy) {
  model_test::expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    RopeConfig, EveryBadRopeConfig,
    testing::Values(
        BadConfig{"ScalingIsText", R"({"rope_scaling":"linear"})", {"rope_scaling: \"linear\"", "map"}},
        BadConfig{"ScalingHasNoType",
                  scaled(R"("factor":2)"),
                  {"rope_scaling.rope_type is missing", "linear, dynamic, ntk, llama3, yarn, longrope"}},
        BadConfig{"ScalingTypeIsUnknown",
                  scaled(R"("rope_type":"mrope","factor":2)"),
                  {"rope_scaling.rope_type: \"mrope\"", "yarn"}},
        BadConfig{
            "LegacyTypeIsUnknown", scaled(R"("type":"su","factor":2)"), {"rope_scaling.type: \"su\"", "longrope"}},
        BadConfig{"ScalingTypeIsNumber", scaled(R"("rope_type":1)"), {"rope_scaling.rope_type: 1"}},
        BadConfig{"TypesContradict",
                  scaled(R"("rope_type":"yarn","type":"linear","factor":2)"),
                  {"\"yarn\"", "\"linear\"", "contradicts"}},
        BadConfig{"NoFactor", scaled(R"("rope_type":"linear")"), {"rope_scaling.factor is missing", "at least 1"}},
        BadConfig{"FactorBelowOne",
                  scaled(R"("rope_type":"dynamic","factor":0.5)"),
                  {"rope_scaling.factor: 0.5", "at least 1"}},
        BadConfig{
            "FactorIsText", scaled(R"("rope_type":"ntk","factor":"2")"), {"rope_scaling.factor: \"2\"", "at least 1"}},
        BadConfig{"YarnBetasReversed",
                  scaled(R"("rope_type":"yarn","factor":2,"beta_fast":1,"beta_slow":32)"),
                  {"rope_scaling.beta_fast: 1", "beta_slow 32"}},
        BadConfig{"YarnAttentionFactorIsZero",
                  scaled(R"("rope_type":"yarn","factor":2,"attention_factor":0)"),
                  {"rope_scaling.attention_factor: 0", "greater than 0"}},
        BadConfig{"YarnOriginalIsFraction",
                  scaled(R"("rope_type":"yarn","factor":2,"original_max_position_embeddings":32.5)"),
                  {"rope_scaling.original_max_position_embeddings: 32.5", "whole number"}},
        BadConfig{"YarnTruncateIsNumber",
                  scaled(R"("rope_type":"yarn","factor":2,"truncate":0)"),
                  {"rope_scaling.truncate: 0", "true or false"}},
        BadConfig{"YarnMscaleIsNegative",
                  scaled(R"("rope_type":"yarn","factor":2,"mscale":-1)"),
                  {"rope_scaling.mscale: -1", "at least 0"}},
        BadConfig{"ThetaTwice",
                  R"({"rope_theta":10000,"rope_scaling":{"rope_type":"default","rope_theta":500000}})",
                  {"rope_scaling.rope_theta: 500000 contradicts 10000", "keep one"}},
        BadConfig{"Llama3WithoutOriginal",
                  scaled(R"("rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4)"),
                  {"rope_scaling.original_max_position_embeddings is missing"}},
        BadConfig{
            "Llama3WithoutLow",
            scaled(R"("rope_type":"llama3","factor":8,"high_freq_factor":4,"original_max_position_embeddings":32)"),
            {"rope_scaling.low_freq_factor is missing"}},
        BadConfig{
            "Llama3LowIsHigh",
            scaled(
                R"("rope_type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,"original_max_position_embeddings":32)"),
            {"rope_scaling.low_freq_factor: 4", "high_freq_factor 4"}},
        BadConfig{"LongropeWithoutLists",
                  scaled(R"("rope_type":"longrope","original_max_position_embeddings":32,"long_factor":)" + kEightTwos),
                  {"rope_scaling.short_factor is missing"}},
        BadConfig{
            "LongropeListTooShort",
            scaled(
                R"("rope_type":"longrope","original_max_position_embeddings":32,"short_factor":[1,2],"long_factor":)" +
                kEightTwos),
            {"rope_scaling.short_factor has 2 numbers", "give 8"}},
        BadConfig{
            "LongropeListHoldsZero",
            scaled(
                R"("rope_type":"longrope","original_max_position_embeddings":32,"short_factor":[1,0,1,1,1,1,1,1],"long_factor":)" +
                kEightTwos),
            {"rope_scaling.short_factor[1]: 0"}},
        BadConfig{
            "LongropeListIsNumber",
            scaled(R"("rope_type":"longrope","original_max_position_embeddings":32,"short_factor":1,"long_factor":)" +
                   kEightTwos),
            {"rope_scaling.short_factor: 1 is no list"}},
        BadConfig{"NtkWithTwoDimensions",
                  R"({"head_dim":2,"rope_scaling":{"rope_type":"ntk","factor":2}})",
                  {"\"ntk\"", "2 rotary"}}),
    [](const auto& info) { return info.param.name; });

TEST(RopeConfig, EveryScalingKeepsItsFields) {
  const auto scaling = [](const std::string& fields) { return yaml(with(llama(), scaled(fields))).rope_scaling; };
  EXPECT_FALSE(scaling(R"("rope_type":"default")").has_value());
  for (const std::string type : {"linear", "dynamic", "ntk"}) {
    EXPECT_EQ(scaling("\"rope_type\":\"" + type + "\",\"factor\":4")->type, type);
    EXPECT_EQ(scaling("\"type\":\"" + type + "\",\"factor\":4.5")->factor, 4.5);
  }
  const auto llama3 =
      scaling(R"("rope_type":"llama3","type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,
                                 "original_max_position_embeddings":32)");
  EXPECT_EQ(llama3->low_freq_factor, 1);
  EXPECT_EQ(llama3->high_freq_factor, 4);
  EXPECT_EQ(llama3->original_max_positions, 32);
  const auto yarn = scaling(R"("rope_type":"yarn","factor":4,"beta_fast":16,"beta_slow":2,"attention_factor":1.5,
                               "mscale":0.7,"mscale_all_dim":0.8,"truncate":true)");
  EXPECT_EQ(yarn->beta_fast, 16);
  EXPECT_EQ(yarn->beta_slow, 2);
  EXPECT_EQ(yarn->attention_factor, 1.5);
  EXPECT_EQ(yarn->mscale, 0.7);
  EXPECT_EQ(yarn->mscale_all_dim, 0.8);
  EXPECT_TRUE(yarn->truncate);
  const auto other = scaling(R"("rope_type":"yarn","factor":4,"mscale":0,"mscale_all_dim":0,"truncate":false,
                                "original_max_position_embeddings":64.0)");
  EXPECT_FALSE(other->mscale.has_value() || other->mscale_all_dim.has_value());
  EXPECT_FALSE(other->truncate);
  EXPECT_EQ(other->original_max_positions, 64);
  EXPECT_FALSE(yarn->original_max_positions.has_value());
  const auto longrope = scaling(R"("rope_type":"longrope","original_max_position_embeddings":64,"short_factor":)" +
                                kEightTwos + R"(,"long_factor":)" + kEightTwos);
  EXPECT_EQ(longrope->short_factor, std::vector<double>(8, 2.0));
  EXPECT_EQ(longrope->original_max_positions, 64);
  EXPECT_FALSE(longrope->factor.has_value());
}

TEST(RopeConfig, LongropeListsFollowThePartialRotation) {
  const std::string fields =
      R"("rope_type":"longrope","original_max_position_embeddings":64,"short_factor":[1,2,3,4],"long_factor":[1,2,3,4])";
  json config = with(llama(), scaled(fields));
  expect_mentions(yaml_refusal(config), {"short_factor has 4 numbers", "long_factor has 4 numbers"});
  config["partial_rotary_factor"] = 0.5;
  EXPECT_EQ(yaml(config).rope_scaling->long_factor.size(), 4u);
}

TEST(RopeConfig, CheckpointsMayWriteTheOriginalPositionsAtTheTop) {
  json config =
      with(llama(), scaled(R"("type":"longrope","short_factor":)" + kEightTwos + R"(,"long_factor":)" + kEightTwos));
  config["original_max_position_embeddings"] = 128;
  EXPECT_EQ(checkpoint(config).rope_scaling->original_max_positions, 128);
  expect_mentions(yaml_refusal(config), {"original_max_position_embeddings: unknown key of a model"});
}

TEST(RopeConfig, AnOriginalLengthAtTheTopMustNotContradictTheScaling) {
  const auto config = [](const std::string& type, int top) {
    json config = with(llama(), scaled("\"rope_type\":\"" + type + R"(","factor":4,"low_freq_factor":1,
        "high_freq_factor":4,"original_max_position_embeddings":64)"));
    config["original_max_position_embeddings"] = top;
    return config;
  };
  EXPECT_EQ(checkpoint(config("llama3", 64)).rope_scaling->original_max_positions, 64);
  expect_mentions(checkpoint_refusal(config("llama3", 128)),
                  {"rope_scaling.original_max_position_embeddings: 64 contradicts 128 at the top level"});
  json only_at_top = config("llama3", 128);
  only_at_top["rope_scaling"].erase("original_max_position_embeddings");
  EXPECT_EQ(checkpoint(only_at_top).rope_scaling->original_max_positions, 128);
}

TEST(RopeConfig, UnknownKeysOfAScalingAreRefused) {
  const json tuned = with(llama(), scaled(R"("rope_type":"linear","factor":4,"finetuned":true)"));
  EXPECT_EQ(checkpoint(tuned).rope_scaling->factor, 4);
  expect_mentions(yaml_refusal(tuned), {"rope_scaling.finetuned: unknown key"});
  const json other = with(llama(), scaled(R"("rope_type":"linear","factor":4,"llama_4_scaling_beta":0.1)"));
  expect_mentions(checkpoint_refusal(other),
                  {"rope_scaling.llama_4_scaling_beta: unknown key of the type linear", "it may change the rotation"});
  const json misspelt = with(llama(), scaled(R"("rope_type":"yarn","factor":4,"mscale":1,"mscale_all_dims":1)"));
  for (const std::string& text : {checkpoint_refusal(misspelt), yaml_refusal(misspelt)})
    expect_mentions(text, {"rope_scaling.mscale_all_dims: unknown key", "did you mean mscale_all_dim?"});
}

TEST(RopeConfig, KeysOfOtherTypesAreRefused) {
  const auto refusal_of = [](const std::string& fields) { return checkpoint_refusal(with(llama(), scaled(fields))); };
  expect_mentions(refusal_of(R"("rope_type":"linear","factor":4,"attention_factor":1.5)"),
                  {"rope_scaling.attention_factor: linear has no such key", "(longrope, yarn)"});
  expect_mentions(refusal_of(R"("rope_type":"default","factor":4)"), {"rope_scaling.factor: default has no such key"});
  expect_mentions(refusal_of(R"("rope_type":"dynamic","factor":4,"original_max_position_embeddings":32)"),
                  {"original_max_position_embeddings: dynamic has no such key"});
  const json harmless = with(llama(), scaled(R"("rope_type":"dynamic","factor":4,
                                                "original_max_position_embeddings":2048)"));
  EXPECT_EQ(checkpoint(harmless).rope_scaling->factor, 4);  // it is max_position_embeddings
}

TEST(RopeConfig, AMapWithoutATypeGivesThetaOnly) {
  const ModelConfig config = checkpoint(with(llama(), scaled(R"("rope_theta":500000)")));
  EXPECT_EQ(config.rope_theta, 500000);
  EXPECT_FALSE(config.rope_scaling.has_value());
  EXPECT_FALSE(checkpoint(with(llama(), scaled(""))).rope_scaling.has_value());
  EXPECT_FALSE(yaml(with(llama(), scaled(""))).rope_scaling.has_value());
  expect_mentions(checkpoint_refusal(with(llama(), R"({"rope_parameters":{"rope_theta":5,"factor":2}})")),
                  {"rope_parameters.rope_type is missing"});
}

TEST(RopeConfig, AFactorOfYarnThatIsNullIsHowFarTheModelWasStretched) {
  json config = with(llama(), scaled(R"("rope_type":"yarn","original_max_position_embeddings":512)"));
  config["rope_scaling"]["factor"] = nullptr;
  EXPECT_EQ(checkpoint(config).rope_scaling->factor, 4);  // 2048 / 512
  expect_mentions(yaml_refusal(config), {"rope_scaling.factor is missing"});
  config["max_position_embeddings"] = 256;
  expect_mentions(checkpoint_refusal(config), {"rope_scaling.factor is null", "256 is less than the original 512"});
  config["rope_scaling"].erase("original_max_position_embeddings");
  expect_mentions(checkpoint_refusal(config), {"rope_scaling.factor is missing"});
}

TEST(RopeConfig, BothSpellingsAtOnceMustSayTheSame) {
  const auto both = [](const std::string& parameters) {
    return with(llama(), R"({"rope_theta":7,"rope_scaling":{"type":"linear","factor":4},"rope_parameters":{)" +
                             parameters + "}}");
  };
  EXPECT_EQ(checkpoint(both(R"("rope_type":"linear","factor":4.0,"rope_theta":7)")).rope_scaling->factor, 4);
  expect_mentions(checkpoint_refusal(both(R"("rope_type":"linear","factor":8)")),
                  {"rope_scaling and rope_parameters differ in factor", "keep one"});
  expect_mentions(checkpoint_refusal(both(R"("rope_theta":7)")), {"differ in factor, rope_type"});
}

TEST(RopeConfig, NewerConfigsHoldRopeParameters) {
  const ModelConfig plain =
      checkpoint(with(llama(), R"({"rope_parameters":{"rope_type":"default","rope_theta":500000}})"));
  EXPECT_EQ(plain.rope_theta, 500000);
  EXPECT_FALSE(plain.rope_scaling.has_value());
  const ModelConfig scaled_config = checkpoint(with(llama(), R"({"rope_parameters":{"rope_type":"linear","factor":4,
      "rope_theta":20000,"partial_rotary_factor":0.5}})"));
  EXPECT_EQ(scaled_config.rope_scaling->factor, 4);
  EXPECT_EQ(scaled_config.rotary_dim(), 8);
  EXPECT_EQ(checkpoint(with(llama(), R"({"rope_theta":3,"rope_parameters":{"rope_theta":3}})")).rope_theta, 3);
  expect_mentions(checkpoint_refusal(with(llama(), R"({"rope_theta":3,"rope_parameters":{"rope_theta":4}})")),
                  {"rope_parameters.rope_theta: 4 contradicts 3"});
  expect_mentions(checkpoint_refusal(with(llama(), R"({"rope_parameters":{"rope_type":"mrope"}})")),
                  {"rope_parameters.rope_type: \"mrope\""});
  expect_mentions(
      checkpoint_refusal(with(llama(), R"({"rope_parameters":{"full_attention":{"rope_type":"default"}}})")),
      {"rope_parameters.full_attention", "not supported"});
}

}  // namespace
}  // namespace attnlab::model

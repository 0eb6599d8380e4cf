// Options that a model's own configuration gives: any key of config.json, of the type that the option has.
#include <gtest/gtest.h>

#include <attnlab/error.h>

#include "assembly/model_defaults.h"
#include "model/config/model_config.h"

namespace attnlab::experiment {
namespace {

using nlohmann::json;

model::ModelConfig config_with(const json& more) {
  json keys = json::parse(R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 32, "num_hidden_layers": 2,
      "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64,
      "max_position_embeddings": 128, "rms_norm_eps": 1e-5})");
  keys.update(more);
  std::vector<model::ConfigEntry> entries;
  for (const auto& [key, value] : keys.items()) entries.push_back({key, value, "config.json"});
  return model_config(entries, model::UnknownKeys::ignored, "config.json");
}

OptionValue completed(const OptionSpec& option, const json& more) {
  Descriptor component;
  component.id = "mine";
  component.kind = Kind::attention;
  component.options = {option};
  const model::ModelConfig config = config_with(more);
  return complete_options(component, {}, model_defaults(config, 0), config.keys, "here")[option.name];
}

TEST(ModelDefaults, ComeFromAnyKeyOfTheConfigOfAnyType) {
  EXPECT_EQ(std::get<std::int64_t>(completed({.name = "o", .from_model = "moba_chunk"}, {{"moba_chunk", 77}})), 77);
  EXPECT_EQ(std::get<double>(completed({.name = "o", .type = OptionType::real, .from_model = "alpha"}, {{"alpha", 2}})),
            2);
  EXPECT_TRUE(std::get<bool>(
      completed({.name = "o", .type = OptionType::boolean, .from_model = "sub.flag"}, {{"sub", {{"flag", true}}}})));
  EXPECT_EQ(std::get<std::string>(
                completed({.name = "o", .type = OptionType::text, .from_model = "form"}, {{"form", "wide"}})),
            "wide");
  EXPECT_EQ(std::get<std::vector<double>>(
                completed({.name = "o", .type = OptionType::reals, .from_model = "slopes"}, {{"slopes", {1, 0.5}}})),
            (std::vector<double>{1, 0.5}));
  EXPECT_EQ(
      std::get<std::string>(completed({.name = "o", .type = OptionType::budget, .from_model = "keep"}, {{"keep", 64}})),
      "64");
  EXPECT_EQ(completed({.name = "o", .from_model = "absent"}, json::object()).index(), 0U);
  EXPECT_EQ(completed({.name = "o", .from_model = "nothing"}, {{"nothing", nullptr}}).index(), 0U);
}

// What the host works out for a layer is not what the key says: a window that is switched off gives none.
TEST(ModelDefaults, OfTheHostComeBeforeTheKeyItself) {
  const OptionSpec window{.name = "window", .from_model = "sliding_window"};
  EXPECT_EQ(completed(window, {{"sliding_window", 9}}).index(), 0U) << "Llama has no window";
}

TEST(ModelDefaults, OfAnotherTypeOrOutOfBoundsAreRefusedByName) {
  const auto message = [](const OptionSpec& option, const json& more) {
    try {
      (void)completed(option, more);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({.name = "o", .from_model = "n"}, {{"n", "many"}}),
            "here: the model's n is many, but o of attention \"mine\" is an integer; write o in the experiment");
  EXPECT_NE(message({.name = "o", .min = 1, .from_model = "n"}, {{"n", 0}}), "");
  EXPECT_NE(message({.name = "o", .type = OptionType::boolean, .from_model = "n"}, {{"n", 1}}), "");
  EXPECT_NE(message({.name = "o", .type = OptionType::reals, .from_model = "n"}, {{"n", 1}}), "");
}

}  // namespace
}  // namespace attnlab::experiment

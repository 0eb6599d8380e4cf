// Small configs and the two ways to read them, for the tests of model configs.
#pragma once

#include <string>
#include <vector>

#include "model/config/model_config.h"
#include "unit/model_test_files.h"

namespace attnlab::model_test {

using model::ConfigEntry;
using model::ModelConfig;
using model::UnknownKeys;
using nlohmann::json;

/// The required keys only.
inline json llama() {
  return json::parse(R"({"architectures":["LlamaForCausalLM"],"hidden_size":64,"intermediate_size":160,
                         "num_hidden_layers":2,"num_attention_heads":4,"vocab_size":256})");
}

inline json with(json config, const std::string& changes) {
  config.merge_patch(json::parse(changes));
  return config;
}

// merge_patch removes what is null; this sets it.
inline json with_null(json config, const std::string& key) {
  config[key] = nullptr;
  return config;
}

inline json of(const std::string& architecture, const std::string& changes = "{}") {
  json config = llama();
  config["architectures"] = json::array({architecture});
  return with(config, changes);
}

inline std::vector<ConfigEntry> entries_of(const json& config) {
  std::vector<ConfigEntry> entries;
  int line = 0;
  for (const auto& [key, value] : config.items())
    entries.push_back({key, value, "m.yaml:" + std::to_string(++line) + ":1"});
  return entries;
}

inline ModelConfig checkpoint(const json& config) {
  return model_config(entries_of(config), UnknownKeys::ignored, "config.json");
}
inline ModelConfig yaml(const json& config) {
  return model_config(entries_of(config), UnknownKeys::refused, "m.yaml");
}

inline std::string checkpoint_refusal(const json& config) {
  return refusal([&] { static_cast<void>(checkpoint(config)); });
}
inline std::string yaml_refusal(const json& config) {
  return refusal([&] { static_cast<void>(yaml(config)); });
}

struct BadConfig {
  std::string name;
  std::string changes;  // to llama()
  std::vector<std::string> mentions;
};
inline void PrintTo(const BadConfig& bad, std::ostream* out) {
  *out << bad.name;
}

/// From a checkpoint and from a YAML: one line, at a place of the file, with every part and a remedy.
inline void expect_refused(const BadConfig& bad) {
  const json config = with(llama(), bad.changes);
  for (const std::string& text : {checkpoint_refusal(config), yaml_refusal(config)}) {
    EXPECT_TRUE(text.starts_with("m.yaml:")) << text;
    expect_mentions(text, bad.mentions);
    expect_mentions(text, {"; "});
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_LT(text.size(), 500u) << text;
  }
}

}  // namespace attnlab::model_test

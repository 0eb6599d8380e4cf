// What is known of one family of checkpoints: the names that it goes by, its spellings of keys, the body that its keys
// describe, and where its tensors stand. A family is one file of model/architectures, which declares itself, and
// nothing else needs to know of it. Not here: the keys that all families have (model_config.cpp), and how a body is run
// (the decoder).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/config/config_fields.h"

namespace attnlab::model {

class TensorLayout;

struct ArchitectureSpec {
  std::string_view name;        // as in `architectures` of a config.json: "LlamaForCausalLM"
  std::string_view model_type;  // "llama"
  /// Its own names of keys that other families call otherwise: {"hidden_size", "n_embd"}.
  std::vector<std::pair<std::string, std::string>> spellings = {};
  /// Keys that mean nothing in it, whatever they say.
  std::vector<std::string> ignored_keys = {};
  /// Its own names of scalings of rotations: {"su", "longrope"}.
  std::vector<std::pair<std::string, std::string>> rope_spellings = {};
  /// Whether `rope_parameters` may be one map for each of the two types of layers.
  bool rope_by_layer_type = false;
  /// Keys of a model YAML beside those that all families have. Only a family that such a file may name has some.
  std::vector<std::string> yaml_keys = {};
  /// Whether a model YAML may name it, and whether a model of it can be trained.
  bool in_yaml = false;
  /// Whether its config says by keys of its own what its norms and its MLP are (body_config.h).
  bool describes_body = false;
  /// Before the common keys are read: what is the family's where the keys say nothing.
  void (*defaults)(const ConfigFields& fields, ModelConfig& config) = nullptr;
  /// After them: its own keys.
  void (*read)(const ConfigFields& fields, ModelConfig& config) = nullptr;
  /// Which tensors stand elsewhere than the decoder asks for them; null: none.
  void (*lay_out)(const ModelConfig& config, TensorLayout& layout) = nullptr;
};

/// Of a file of model/architectures, once.
struct DeclaredArchitecture {
  explicit DeclaredArchitecture(ArchitectureSpec spec);
};

/// In the order of their names, that whose keys describe its body last.
[[nodiscard]] std::span<const ArchitectureSpec* const> all_architectures();

}  // namespace attnlab::model

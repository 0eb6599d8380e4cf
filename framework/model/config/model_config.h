// What a model is, from the keys that its checkpoint (config.json) or its model YAML gives. This is the one place where
// the checkpoint's names (num_attention_heads) become ours (heads), and where defaults that differ between
// architectures are written down. Not here: weights, and what an experiment's arm changes about the model.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>
#include <attnlab/options.h>

#include "base/activation.h"
#include "base/norm.h"
#include "model/config/rope_scaling.h"

namespace attnlab::model {

/// `attnlab`: a body that none of the others has, named so that no other program takes it for one of them.
enum class Architecture { llama, mistral, qwen2, qwen3, attnlab };

/// The MLP of a layer: gate, up and down; up and down alone; or no MLP, and no norm before it.
enum class MlpKind { gated, plain, none };

/// As in `architectures` of a config.json: "LlamaForCausalLM".
[[nodiscard]] ATTNLAB_API std::string_view architecture_name(Architecture architecture) noexcept;
/// As in `model_type` of a config.json: "llama".
[[nodiscard]] ATTNLAB_API std::string_view architecture_type(Architecture architecture) noexcept;

/// Checked: counts are at least 1, heads are a multiple of kv_heads, no weight is too large to be addressed.
struct ModelConfig {
  Architecture architecture = Architecture::llama;
  int hidden_dim = 0;
  int layers = 0;
  int intermediate_dim = 0;  // 0: no MLP
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int vocab_size = 0;
  int max_positions = 0;
  float rms_norm_eps = 0;  // of norms of either kind

  NormKind norm = NormKind::rms;
  MlpKind mlp = MlpKind::gated;
  Activation activation = Activation::silu;  // of the MLP

  double rope_theta = 0;
  bool rope_traditional = false;     // interleaved pairs instead of rotate-half
  double partial_rotary_factor = 1;  // share of a head's dimensions that is rotated
  std::optional<RopeScaling> rope_scaling;

  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  bool qk_norm = false;  // RMS norm of every query and key head before the rotation

  // Widths of latent attention by the keys of DeepSeek's configs, those that were given; q_lora_rank may be 0.
  std::map<std::string, int, std::less<>> latent_dims;

  std::optional<bool> tie_word_embeddings;  // only if it was given: absent means tied if lm_head.weight is absent
  std::optional<int> sliding_window;        // a query sees this many newest positions, its own included
  std::vector<bool> full_layers;            // [layers] those without the window; empty: the window holds in all.
                                            // From layer_types, which comes before max_window_layers

  // Every other key as the config has it, for components that ask for one: numbers, flags, texts and lists of numbers;
  // those of a map inside as "map.key". Not what the host itself reads.
  OptionValues keys;

  std::vector<int> eos_tokens;                        // any of them ends a text
  double initializer_range = 0.02;                    // standard deviation of random weights
  std::optional<double> attention_initializer_range;  // that of an attention's own; else the same

  /// Whether queries of this layer see the newest `sliding_window` positions only.
  [[nodiscard]] bool has_window(int layer) const noexcept {
    return sliding_window.has_value() && (full_layers.empty() || !full_layers[static_cast<std::size_t>(layer)]);
  }
  /// Dimensions of a head that are rotated; rope asks for an even number.
  [[nodiscard]] int rotary_dim() const noexcept { return static_cast<int>(head_dim * partial_rotary_factor); }
};

/// One top-level key as a file gave it.
struct ConfigEntry {
  std::string key;
  nlohmann::json value;
  std::string where;  // "file" or "file:line:column"
};

/// A checkpoint's config.json has many keys that do not matter here; a model YAML has none.
enum class UnknownKeys { ignored, refused };

/// Reads and checks the keys. With `ignored` (config.json) the architecture must be named, token ids outside the
/// vocabulary count as absent and keys of other architectures mean nothing; with `refused` (model YAML) the default is
/// Llama and all of these are errors. `where` is the file, for keys that are missing. Throws one Error with every
/// problem that was found; an architecture that is not supported is reported alone.
[[nodiscard]] ATTNLAB_API ModelConfig model_config(std::span<const ConfigEntry> entries, UnknownKeys unknown_keys,
                                                   const std::string& where);

/// The config.json of a checkpoint folder; generation_config.json beside it has the last word on which tokens end a
/// text. Error also if folder or file are missing or no JSON object, for quantised checkpoints, and for an adapter that
/// lies beside the model.
[[nodiscard]] ATTNLAB_API ModelConfig read_config_json(const std::filesystem::path& folder);

}  // namespace attnlab::model

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
#include "model/checkpoints/tensor_layout.h"
#include "model/config/rope_scaling.h"

namespace attnlab::model {

/// One family of checkpoints; see model/architectures. Compared by address.
struct ArchitectureSpec;
using Architecture = const ArchitectureSpec*;

/// By its `model_type`: "llama"; one that there is.
[[nodiscard]] ATTNLAB_API Architecture architecture_named(std::string_view model_type);

/// The MLP of a layer: gate, up and down; up and down alone; or no MLP, and no norm before it.
enum class MlpKind { gated, plain, none };

/// As in `architectures` of a config.json: "LlamaForCausalLM".
[[nodiscard]] ATTNLAB_API std::string_view architecture_name(Architecture architecture) noexcept;
/// As in `model_type` of a config.json: "llama".
[[nodiscard]] ATTNLAB_API std::string_view architecture_type(Architecture architecture) noexcept;

/// Whether a model of it can be trained, and a model YAML may name it.
[[nodiscard]] ATTNLAB_API bool can_be_trained(Architecture architecture) noexcept;

/// Where a layer's norms stand: before each branch (Llama), after each (OLMo 2), or both (Gemma 2).
enum class NormPlace { before, after, both };

/// How a layer's branches are added to the residual stream. serial: the MLP sees what attention has added. parallel:
/// both see the stream before the layer, each through its own norm (GPT-NeoX); shared_norm: both through the same norm.
enum class Residual { serial, parallel, shared_norm };

/// What queries and keys are normalised by before the rotation. heads: RMSNorm of every head, one weight for all (Qwen
/// 3); whole: RMSNorm of all heads together (OLMo 2); own: LayerNorm of every head by its own weight (Cohere).
enum class QkNorm { none, heads, whole, own };

/// How a router's numbers become the shares of experts. softmax: over all experts; sigmoid: of each by itself;
/// softmax_of_chosen: over those that were chosen (gpt-oss).
enum class RouterScore { softmax, sigmoid, softmax_of_chosen };

/// A mixture of experts in place of the MLP: each token goes through the `chosen` of them whose scores are the largest.
struct ExpertsConfig {
  int count = 0;
  int chosen = 0;
  int inner_dim = 0;  // of each
  RouterScore score = RouterScore::softmax;
  bool renormalises = false;  // shares of the chosen sum to 1
  double scale = 1;           // of all shares
  int groups = 1;             // experts are chosen from the best `chosen_groups` of so many equal groups
  int chosen_groups = 1;
  bool groups_by_two_best = false;  // a group is as good as the sum of its two best; else as its best
  bool has_choice_bias = false;     // a number for each expert that counts when they are chosen, and in no share
  bool has_bias = false;            // router and experts
  double clamp = 0;                 // gates and ups of experts are cut off at it, as in gpt-oss; 0: they are not
  int shared_dim = 0;               // inner width of an MLP beside the experts that every token goes through; 0: none
  std::vector<bool> layers = {};    // [layers] which have experts; the others have the MLP
};

/// Checked: counts are at least 1, heads are a multiple of kv_heads, no weight is too large to be addressed.
struct ModelConfig {
  Architecture architecture = architecture_named("llama");
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
  bool norm_bias = true;  // of a LayerNorm
  NormPlace norm_place = NormPlace::before;
  Residual residual = Residual::serial;
  MlpKind mlp = MlpKind::gated;
  Activation activation = Activation::silu;  // of the MLP
  std::optional<ExpertsConfig> experts;

  double embedding_scale = 1;  // of the embeddings
  double residual_scale = 1;   // of what a branch adds
  double logit_scale = 1;
  double logit_softcap = 0;  // logits become c tanh(z / c); 0: off

  double rope_theta = 0;
  bool rope_traditional = false;     // interleaved pairs instead of rotate-half
  double partial_rotary_factor = 1;  // share of a head's dimensions that is rotated
  std::optional<RopeScaling> rope_scaling;
  std::optional<double>
      window_rope_theta;               // of layers with the window, where they have a base of their own; not scaled
  std::vector<bool> unrotated_layers;  // [layers] those without positions; empty: none
  bool learned_positions = false;      // a table that is added to the embeddings; nothing is rotated

  bool qkv_bias = false;
  bool o_bias = false;
  bool mlp_bias = false;
  QkNorm qk_norm = QkNorm::none;
  bool sink_logit = false;              // one learned logit a head joins the softmax
  std::vector<double> attention_scale;  // [1], or [layers]; empty: 1 / sqrt(head_dim)
  double attention_softcap = 0;         // scores become c tanh(s / c); 0: off
  bool has_latent_attention = false;    // of the checkpoint itself; latent_dims has its widths

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
  /// Dimensions of a head that are rotated: of latent attention those that have positions. rope asks for an even
  /// number.
  [[nodiscard]] int rotary_dim() const noexcept {
    const auto latent = latent_dims.find("qk_rope_head_dim");
    const bool is_latent = has_latent_attention && latent != latent_dims.end();
    return static_cast<int>((is_latent ? latent->second : head_dim) * partial_rotary_factor);
  }
  [[nodiscard]] bool has_experts(int layer) const noexcept {
    return experts.has_value() && experts->layers[static_cast<std::size_t>(layer)];
  }
  /// 0: 1 / sqrt(head_dim)
  [[nodiscard]] double scale_of(int layer) const noexcept {
    if (attention_scale.empty()) return 0;
    return attention_scale[attention_scale.size() == 1 ? 0 : static_cast<std::size_t>(layer)];
  }
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

/// Where the tensors of its checkpoints stand; empty where the decoder's own names hold.
[[nodiscard]] ATTNLAB_API TensorLayout layout_of(const ModelConfig& config);

/// The config.json of a checkpoint folder; generation_config.json beside it has the last word on which tokens end a
/// text. Error also if folder or file are missing or no JSON object, for quantised checkpoints, and for an adapter that
/// lies beside the model.
[[nodiscard]] ATTNLAB_API ModelConfig read_config_json(const std::filesystem::path& folder);

}  // namespace attnlab::model

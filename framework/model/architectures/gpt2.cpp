// GPT-2: learned positions, and matrices that are stored as [in, out]. Radford et al. 2019.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "model/architectures/names.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void defaults(const ConfigFields& fields, ModelConfig& config) {
  config.norm = NormKind::layer;
  config.mlp = MlpKind::plain;
  config.activation = Activation::gelu_pytorch_tanh;
  config.max_positions = 1024;
  config.tie_word_embeddings = true;
  config.learned_positions = true;
  config.intermediate_dim = 4 * fields.known_count("hidden_size", kMaxCount / 4);
}

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = config.mlp_bias = true;
  check_no_window(fields, config);
  const bool is_scaled = fields.flag("scale_attn_weights", true);
  const bool is_by_layer = fields.flag("scale_attn_by_inverse_layer_idx", false);
  if (is_scaled && !is_by_layer) return;
  const double scale = is_scaled ? 1 / std::sqrt(static_cast<double>(std::max(1, config.head_dim))) : 1;
  for (int layer = 0; layer < config.layers; ++layer)
    config.attention_scale.push_back(is_by_layer ? scale / (layer + 1) : scale);
}

void lay_out(const ModelConfig& config, TensorLayout& layout) {
  const std::int64_t hidden = config.hidden_dim, inner = config.intermediate_dim;
  layout.optional_prefix("transformer.");
  layout.rename("model.embed_tokens.weight", "wte.weight");
  layout.rename("model.embed_positions.weight", "wpe.weight");
  for (const char* form : {"weight", "bias"})
    layout.rename(fmt::format("model.norm.{}", form), fmt::format("ln_f.{}", form));
  for (int layer = 0; layer < config.layers; ++layer) {
    const auto stored = [&](const char* name) { return fmt::format("h.{}.{}", layer, name); };
    const auto linear = [&](const char* name, const char* from, std::int64_t out, std::int64_t in, int part,
                            int parts) {
      layout.columns(of_layer(layer, fmt::format("{}.weight", name)), fmt::format("h.{}.{}.weight", layer, from),
                     {out, in}, part * out, parts * out);
      layout.rows(of_layer(layer, fmt::format("{}.bias", name)), fmt::format("h.{}.{}.bias", layer, from), {out},
                  part * out, parts * out);
    };
    for (const char* form : {"weight", "bias"}) {
      layout.rename(of_layer(layer, fmt::format("input_layernorm.{}", form)),
                    stored(form[0] == 'w' ? "ln_1.weight" : "ln_1.bias"));
      layout.rename(of_layer(layer, fmt::format("post_attention_layernorm.{}", form)),
                    stored(form[0] == 'w' ? "ln_2.weight" : "ln_2.bias"));
    }
    linear("self_attn.q_proj", "attn.c_attn", hidden, hidden, 0, 3);
    linear("self_attn.k_proj", "attn.c_attn", hidden, hidden, 1, 3);
    linear("self_attn.v_proj", "attn.c_attn", hidden, hidden, 2, 3);
    linear("self_attn.o_proj", "attn.c_proj", hidden, hidden, 0, 1);
    linear("mlp.up_proj", "mlp.c_fc", inner, hidden, 0, 1);
    linear("mlp.down_proj", "mlp.c_proj", hidden, inner, 0, 1);
  }
  for (const char* buffer : {".attn.bias", ".attn.masked_bias"}) layout.ignore_ending(buffer);
}

const DeclaredArchitecture kGpt2({.name = "GPT2LMHeadModel",
                                  .model_type = "gpt2",
                                  .spellings = {{"hidden_size", "n_embd"},
                                                {"num_hidden_layers", "n_layer"},
                                                {"num_attention_heads", "n_head"},
                                                {"max_position_embeddings", "n_positions"},
                                                {"intermediate_size", "n_inner"},
                                                {"hidden_act", "activation_function"},
                                                {"rms_norm_eps", "layer_norm_epsilon"}},
                                  .defaults = defaults,
                                  .read = read,
                                  .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model

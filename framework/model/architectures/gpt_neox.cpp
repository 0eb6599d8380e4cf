// GPT-NeoX, as Pythia is made: attention and MLP beside each other, a quarter of each head rotated. Black et al. 2022.
#include <cstdint>

#include "model/architectures/names.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void defaults(const ConfigFields&, ModelConfig& config) {
  config.norm = NormKind::layer;
  config.mlp = MlpKind::plain;
  config.activation = Activation::gelu;
  config.partial_rotary_factor = 0.25;
}

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", true);
  config.mlp_bias = true;
  config.residual = fields.flag("use_parallel_residual", true) ? Residual::parallel : Residual::serial;
  check_no_window(fields, config);
}

// Rows of the fused projection stand by head: its queries, keys and values.
void lay_out(const ModelConfig& config, TensorLayout& layout) {
  const std::int64_t heads = config.heads, width = config.head_dim, rows = heads * width;
  layout.rename("model.embed_tokens.weight", "gpt_neox.embed_in.weight");
  layout.rename("lm_head.weight", "embed_out.weight");
  for (const char* form : {"weight", "bias"}) {
    layout.rename(fmt::format("model.norm.{}", form), fmt::format("gpt_neox.final_layer_norm.{}", form));
    for (int layer = 0; layer < config.layers; ++layer) {
      const auto stored = [&](const char* name) { return fmt::format("gpt_neox.layers.{}.{}.{}", layer, name, form); };
      const auto asked = [&](const char* name) { return of_layer(layer, fmt::format("{}.{}", name, form)); };
      const bool is_weight = std::string_view(form) == "weight";
      const std::vector<std::int64_t> shape =
          is_weight ? std::vector<std::int64_t>{rows, config.hidden_dim} : std::vector<std::int64_t>{rows};
      layout.rename(asked("input_layernorm"), stored("input_layernorm"));
      layout.rename(asked("post_attention_layernorm"), stored("post_attention_layernorm"));
      int part = 0;
      for (const char* name : {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"})
        layout.rows_of_heads(asked(name), stored("attention.query_key_value"), shape, heads, width * part++, 3 * width);
      layout.rename(asked("self_attn.o_proj"), stored("attention.dense"));
      layout.rename(asked("mlp.up_proj"), stored("mlp.dense_h_to_4h"));
      layout.rename(asked("mlp.down_proj"), stored("mlp.dense_4h_to_h"));
    }
  }
  for (const char* buffer : {".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"})
    layout.ignore_ending(buffer);
}

const DeclaredArchitecture kGptNeox({.name = "GPTNeoXForCausalLM",
                                     .model_type = "gpt_neox",
                                     .spellings = {{"rms_norm_eps", "layer_norm_eps"},
                                                   {"rope_theta", "rotary_emb_base"},
                                                   {"partial_rotary_factor", "rotary_pct"}},
                                     .defaults = defaults,
                                     .read = read,
                                     .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model

// Command R: attention and MLP beside each other behind one LayerNorm without bias. Cohere 2024.
#include <cstdint>

#include "model/architectures/names.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

constexpr double kLogitScale = 0.0625;

void defaults(const ConfigFields&, ModelConfig& config) {
  config.norm = NormKind::layer;
  config.norm_bias = false;
  config.residual = Residual::shared_norm;
  config.rope_traditional = true;
  config.tie_word_embeddings = true;
}

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  if (fields.flag("use_qk_norm", false)) config.qk_norm = QkNorm::own;
  config.logit_scale = fields.number("logit_scale", kLogitScale, kPositive);
  check_no_window(fields, config);
}

// One tensor holds the norms of all heads.
void lay_out(const ModelConfig& config, TensorLayout& layout) {
  if (config.qk_norm == QkNorm::none) return;
  for (int layer = 0; layer < config.layers; ++layer)
    for (const auto& [name, heads] : {std::pair("q", config.heads), std::pair("k", config.kv_heads)})
      for (int head = 0; head < heads; ++head)
        layout.numbers_of(head, heads, of_layer(layer, fmt::format("self_attn.{}_norm.{}.weight", name, head)),
                          of_layer(layer, fmt::format("self_attn.{}_norm.weight", name)), config.head_dim, 0,
                          config.head_dim);
}

const DeclaredArchitecture kCohere({.name = "CohereForCausalLM",
                                    .model_type = "cohere",
                                    .spellings = {{"rms_norm_eps", "layer_norm_eps"}},
                                    .defaults = defaults,
                                    .read = read,
                                    .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model

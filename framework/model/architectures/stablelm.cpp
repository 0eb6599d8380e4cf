// StableLM 2: LayerNorms around a gated MLP, a quarter of each head rotated. Bellagente et al. 2024.
#include "model/architectures/names.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void defaults(const ConfigFields&, ModelConfig& config) {
  config.norm = NormKind::layer;
  config.partial_rotary_factor = 0.25;
}

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = fields.flag("use_qkv_bias", false);
  if (fields.flag("qk_layernorm", false)) config.qk_norm = QkNorm::own;
  if (fields.flag("use_parallel_residual", false)) config.residual = Residual::shared_norm;
  check_no_window(fields, config);
}

void lay_out(const ModelConfig& config, TensorLayout& layout) {
  if (config.qk_norm == QkNorm::none) return;
  for (int layer = 0; layer < config.layers; ++layer)
    for (const auto& [name, heads] : {std::pair("q", config.heads), std::pair("k", config.kv_heads)})
      for (int head = 0; head < heads; ++head)
        layout.rename(of_layer(layer, fmt::format("self_attn.{}_norm.{}.weight", name, head)),
                      of_layer(layer, fmt::format("self_attn.{}_layernorm.norms.{}.weight", name, head)));
}

const DeclaredArchitecture kStableLm({.name = "StableLmForCausalLM",
                                      .model_type = "stablelm",
                                      .spellings = {{"rms_norm_eps", "layer_norm_eps"}},
                                      .defaults = defaults,
                                      .read = read,
                                      .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model

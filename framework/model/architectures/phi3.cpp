// Phi-3 and Phi-4-mini: one fused tensor for queries, keys and values, and one for gate and up. Abdin et al. 2024.
#include <cstdint>

#include "model/architectures/names.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void read(const ConfigFields& fields, ModelConfig& config) {
  std::vector<bool> full = read_window_and_types(fields, config);
  if (config.sliding_window) config.full_layers = std::move(full);
  if (fields.flag("attention_bias", false))
    fields.problem("attention_bias", ": true is not supported", "models of this architecture have no biases");
}

void lay_out(const ModelConfig& config, TensorLayout& layout) {
  const std::int64_t q = std::int64_t{config.heads} * config.head_dim,
                     kv = std::int64_t{config.kv_heads} * config.head_dim;
  const std::int64_t hidden = config.hidden_dim, inner = config.intermediate_dim;
  for (int layer = 0; layer < config.layers; ++layer) {
    const std::string qkv = of_layer(layer, "self_attn.qkv_proj.weight");
    layout.rows(of_layer(layer, "self_attn.q_proj.weight"), qkv, {q, hidden}, 0, q + 2 * kv);
    layout.rows(of_layer(layer, "self_attn.k_proj.weight"), qkv, {kv, hidden}, q, q + 2 * kv);
    layout.rows(of_layer(layer, "self_attn.v_proj.weight"), qkv, {kv, hidden}, q + kv, q + 2 * kv);
    const std::string gate_up = of_layer(layer, "mlp.gate_up_proj.weight");
    layout.rows(of_layer(layer, "mlp.gate_proj.weight"), gate_up, {inner, hidden}, 0, 2 * inner);
    layout.rows(of_layer(layer, "mlp.up_proj.weight"), gate_up, {inner, hidden}, inner, 2 * inner);
  }
}

const DeclaredArchitecture kPhi3({.name = "Phi3ForCausalLM",
                                  .model_type = "phi3",
                                  .rope_spellings = {{"su", "longrope"}, {"yarn", "longrope"}},
                                  .read = read,
                                  .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model

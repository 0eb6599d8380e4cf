// Qwen 3: every head of queries and keys is normalised before the rotation; and its mixture of experts.
#include <algorithm>
#include <utility>

#include "model/architectures/experts_config.h"
#include "model/architectures/windows.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void defaults(const ConfigFields&, ModelConfig& config) {
  config.head_dim = 128;
}

void read_attention(const ConfigFields& fields, ModelConfig& config) {
  config.qk_norm = QkNorm::heads;
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
}

void read(const ConfigFields& fields, ModelConfig& config) {
  read_attention(fields, config);
  read_qwen_window(fields, config);
}

// The window holds in every layer, whatever max_window_layers says. Sparse is what no list names and no step leaves
// out.
void read_moe(const ConfigFields& fields, ModelConfig& config) {
  read_attention(fields, config);
  std::vector<bool> full = read_switched_window(fields, config, kQwenWindow, 0);
  if (config.sliding_window) config.full_layers = std::move(full);
  ExpertsConfig experts{.count = fields.required_count("num_experts"),
                        .chosen = fields.count("num_experts_per_tok", 8),
                        .inner_dim = fields.required_count("moe_intermediate_size"),
                        .renormalises = fields.flag("norm_topk_prob", false)};
  const int step = fields.count("decoder_sparse_step", 1);
  const std::vector<int> dense = list_of_layers(fields, "mlp_only_layers", config);
  for (int layer = 0; layer < config.layers; ++layer)
    experts.layers.push_back(step > 0 && (layer + 1) % step == 0 && std::ranges::find(dense, layer) == dense.end());
  check_experts(fields, experts, "num_experts_per_tok");
  config.experts = std::move(experts);
}

const DeclaredArchitecture kQwen3({.name = "Qwen3ForCausalLM",
                                   .model_type = "qwen3",
                                   .yaml_keys = {"attention_bias", "sliding_window", "use_sliding_window",
                                                 "max_window_layers"},
                                   .in_yaml = true,
                                   .defaults = defaults,
                                   .read = read});
const DeclaredArchitecture kQwen3Moe({.name = "Qwen3MoeForCausalLM", .model_type = "qwen3_moe", .read = read_moe});

}  // namespace
}  // namespace attnlab::model

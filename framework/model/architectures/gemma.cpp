// Gemma 2 and 3: norms before and after each branch, whose weights are stored less 1; windows in most layers. Gemma
// Team 2024, 2025.
#include <cmath>

#include "model/architectures/names.h"
#include "model/architectures/windows.h"
#include "model/checkpoints/tensor_layout.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

constexpr double kScoresWidth = 256;  // query_pre_attn_scalar where it is absent, as in transformers
constexpr int kPattern = 6;

void defaults(const ConfigFields&, ModelConfig& config) {
  config.activation = Activation::gelu_pytorch_tanh;
  config.tie_word_embeddings = true;
  config.norm_place = NormPlace::both;
}

void read_both(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_dim));
  config.attention_scale = {1 / std::sqrt(fields.number("query_pre_attn_scalar", kScoresWidth, kPositive))};
  config.logit_softcap = fields.number("final_logit_softcapping", 0, kPositive);
}

void read_gemma2(const ConfigFields& fields, ModelConfig& config) {
  read_both(fields, config);
  config.attention_softcap = fields.number("attn_logit_softcapping", 0, kPositive);
  read_alternating_window(fields, config);
}

void gemma3_defaults(const ConfigFields& fields, ModelConfig& config) {
  defaults(fields, config);
  config.rope_theta = 1e6;
  config.window_rope_theta = fields.number("rope_local_base_freq", 10000, kPositive);
}

void read_gemma3(const ConfigFields& fields, ModelConfig& config) {
  read_both(fields, config);
  config.qk_norm = QkNorm::heads;
  if (fields.has("attn_logit_softcapping"))
    fields.problem("attn_logit_softcapping", " is given, and transformers ignores it in this architecture",
                   "remove it, or write null");
  std::vector<bool> full = read_window_and_types(fields, config);
  const char* const key = fields.has("sliding_window_pattern") ? "sliding_window_pattern" : "_sliding_window_pattern";
  const int pattern = fields.count(key, kPattern);
  if (!config.sliding_window || pattern == 0) return;
  if (full.empty())
    for (int layer = 0; layer < config.layers; ++layer) full.push_back((layer + 1) % pattern == 0);
  config.full_layers = std::move(full);
}

void lay_out(const ModelConfig& config, TensorLayout& layout) {
  const auto norm = [&](const std::string& name) { layout.plus_one(name, name); };
  norm("model.norm.weight");
  for (int layer = 0; layer < config.layers; ++layer) {
    for (const char* name : {"input_layernorm.weight", "post_attention_layernorm.weight",
                             "pre_feedforward_layernorm.weight", "post_feedforward_layernorm.weight"})
      norm(of_layer(layer, name));
    if (config.qk_norm == QkNorm::none) continue;
    norm(of_layer(layer, "self_attn.q_norm.weight"));
    norm(of_layer(layer, "self_attn.k_norm.weight"));
  }
}

const DeclaredArchitecture kGemma2({.name = "Gemma2ForCausalLM",
                                    .model_type = "gemma2",
                                    .spellings = {{"hidden_act", "hidden_activation"}},
                                    .defaults = defaults,
                                    .read = read_gemma2,
                                    .lay_out = lay_out});
const DeclaredArchitecture kGemma3({.name = "Gemma3ForCausalLM",
                                    .model_type = "gemma3_text",
                                    .spellings = {{"hidden_act", "hidden_activation"}},
                                    .rope_by_layer_type = true,
                                    .defaults = gemma3_defaults,
                                    .read = read_gemma3,
                                    .lay_out = lay_out});

}  // namespace
}  // namespace attnlab::model

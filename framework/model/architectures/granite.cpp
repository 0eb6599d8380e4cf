// Granite 3: four multipliers. IBM 2024.
#include "model/architectures/windows.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  config.mlp_bias = fields.flag("mlp_bias", false);
  config.embedding_scale = fields.number("embedding_multiplier", 1, kPositive);
  config.attention_scale = {fields.number("attention_multiplier", 1, kPositive)};
  config.residual_scale = fields.number("residual_multiplier", 1, kPositive);
  config.logit_scale = 1 / fields.number("logits_scaling", 1, kPositive);
  check_no_window(fields, config);
}

const DeclaredArchitecture kGranite({.name = "GraniteForCausalLM", .model_type = "granite", .read = read});

}  // namespace
}  // namespace attnlab::model

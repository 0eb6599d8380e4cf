// Llama 1 to 3 and their kin. Touvron et al. 2023.
#include "model/architectures/windows.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  config.mlp_bias = fields.flag("mlp_bias", false);
  check_no_window(fields, config);
}

const DeclaredArchitecture kLlama({.name = "LlamaForCausalLM",
                                   .model_type = "llama",
                                   .yaml_keys = {"attention_bias", "mlp_bias"},
                                   .in_yaml = true,
                                   .read = read});

}  // namespace
}  // namespace attnlab::model

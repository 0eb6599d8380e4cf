// A body that no other family has, as a model YAML describes it; named so that no other program takes it for one of
// theirs.
#include "model/architectures/windows.h"
#include "model/config/architecture.h"
#include "model/config/body_config.h"

namespace attnlab::model {
namespace {

std::vector<std::string> yaml_keys() {
  std::vector<std::string> keys{"attention_bias", "mlp_bias"};
  keys.insert(keys.end(), body_keys().begin(), body_keys().end());
  return keys;
}

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  if (config.mlp != MlpKind::none) config.mlp_bias = fields.flag("mlp_bias", false);
  check_no_window(fields, config);
}

const DeclaredArchitecture kAttnlab({.name = "AttnLabForCausalLM",
                                     .model_type = "attnlab",
                                     .yaml_keys = yaml_keys(),
                                     .in_yaml = true,
                                     .describes_body = true,
                                     .read = read});

}  // namespace
}  // namespace attnlab::model

// OLMo 2: norms after the branches alone, and one over all queries or keys of a token. OLMo Team 2024.
#include "model/architectures/windows.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void read(const ConfigFields& fields, ModelConfig& config) {
  config.norm_place = NormPlace::after;
  config.qk_norm = QkNorm::whole;
  config.qkv_bias = config.o_bias = fields.flag("attention_bias", false);
  check_no_window(fields, config);
}

const DeclaredArchitecture kOlmo2({.name = "Olmo2ForCausalLM", .model_type = "olmo2", .read = read});

}  // namespace
}  // namespace attnlab::model

// Qwen 2 and 2.5: biases on queries, keys and values.
#include "model/architectures/windows.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

void read(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = true;
  read_qwen_window(fields, config);
}

const DeclaredArchitecture kQwen2({.name = "Qwen2ForCausalLM",
                                   .model_type = "qwen2",
                                   .yaml_keys = {"sliding_window", "use_sliding_window", "max_window_layers"},
                                   .in_yaml = true,
                                   .read = read});

}  // namespace
}  // namespace attnlab::model

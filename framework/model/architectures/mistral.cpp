// Mistral: a window in every layer. Jiang et al. 2023.
#include <utility>

#include "model/architectures/windows.h"
#include "model/config/architecture.h"

namespace attnlab::model {
namespace {

constexpr int kWindow = 4096;  // where the key is absent, as in transformers

// transformers takes a Mistral that has layer_types for a Ministral, whose layers differ.
void read(const ConfigFields& fields, ModelConfig& config) {
  config.sliding_window = read_window(fields, kWindow, 0);
  std::vector<bool> full = full_layers(fields, config);
  check_has_window(fields, config, full, "sliding_window gives no length");
  if (config.sliding_window) config.full_layers = std::move(full);
}

const DeclaredArchitecture kMistral({.name = "MistralForCausalLM",
                                     .model_type = "mistral",
                                     .yaml_keys = {"sliding_window"},
                                     .in_yaml = true,
                                     .read = read});

}  // namespace
}  // namespace attnlab::model

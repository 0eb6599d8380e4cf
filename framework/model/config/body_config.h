// The keys that say what a layer is made of around its attention: the kind of its norms and their epsilon, the kind of
// its MLP, the MLP's width, biases and activation. Not public.
#pragma once

#include <string>
#include <vector>

#include "model/config/config_fields.h"

namespace attnlab::model {

/// Those that only AttnLab's own architecture has: `norm`, `mlp`, `activation`, `layer_norm_eps`.
[[nodiscard]] const std::vector<std::string>& body_keys();

/// Reads the body into `config`, whose architecture must have been read.
void read_body(const ConfigFields& fields, ModelConfig& config);

/// RMSNorm, and a gated MLP with silu.
[[nodiscard]] bool has_llama_body(const ModelConfig& config);

}  // namespace attnlab::model

// Names of tensors as decoders ask for them.
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace attnlab::model {

/// "model.layers.3.self_attn.q_proj.weight"
[[nodiscard]] inline std::string of_layer(int layer, std::string_view name) {
  return fmt::format("model.layers.{}.{}", layer, name);
}

}  // namespace attnlab::model

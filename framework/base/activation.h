// What an MLP does to each of its inner numbers; spelled as in a model YAML. Not here: how it is computed
// (ops/vector_kernels.h), and the other names that checkpoints have for it (model/config/body_config.h).
#pragma once

#include <cstdint>

namespace attnlab {

/// silu: x sigmoid(x) (Elfwing et al. 2017). gelu: x Phi(x) by the error function, and gelu_pytorch_tanh its
/// approximation by a tanh (Hendrycks & Gimpel 2016). relu: max(x, 0). relu2: its square (So et al. 2021).
enum class Activation : std::uint8_t { silu, gelu, gelu_pytorch_tanh, relu, relu2 };

}  // namespace attnlab

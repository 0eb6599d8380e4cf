// A norm of whole rows, as a model has it: which kind, and its numbers. Not here: how it is computed
// (ops/vector_kernels.h).
#pragma once

#include <cstdint>
#include <span>

namespace attnlab {

/// rms: x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019).
/// layer: (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias (Ba et al. 2016).
/// none: x.
enum class NormKind : std::uint8_t { rms, layer, none };

/// Borrowed.
struct Norm {
  NormKind kind = NormKind::rms;
  std::span<const float> weight;     // [width]; empty of `none`
  std::span<const float> bias = {};  // [width]; of `layer` only
  float eps = 1e-6F;
};

}  // namespace attnlab

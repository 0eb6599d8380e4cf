// Loops over one row, vectorised. All spans of one call have the same length unless said.
#pragma once

#include <span>

#include <attnlab/api.h>

namespace attnlab::vec {

/// to += from
ATTNLAB_API void add(std::span<float> to, std::span<const float> from);
/// to = silu(gate) * to
ATTNLAB_API void silu_multiply(std::span<float> to, const float* gate);
/// out = x / sqrt(mean(x^2) + eps) * weight; out may be x
ATTNLAB_API void rms_norm(std::span<const float> x, std::span<const float> weight, float eps, std::span<float> out);
/// x += delta, then out = rms_norm(x)
ATTNLAB_API void add_rms_norm(std::span<float> x, std::span<const float> delta, std::span<const float> weight,
                              float eps, std::span<float> out);
/// From gradients of out = rms_norm(x): added to those of x and of the weight.
ATTNLAB_API void rms_norm_backward(std::span<const float> x, std::span<const float> weight, float eps,
                                   std::span<const float> of_out, std::span<float> of_x, std::span<float> of_weight);
/// Of to = silu(gate) * before: `of` becomes the gradient of `before`, that of the gate is added to.
ATTNLAB_API void silu_multiply_backward(std::span<const float> gate, std::span<const float> before, std::span<float> of,
                                        std::span<float> of_gate);
/// x = cap * tanh(x / cap)
ATTNLAB_API void softcap(std::span<float> x, float cap);
/// Natural logarithm of the sum of exp(x), in double.
ATTNLAB_API double log_sum_exp(std::span<const float> x);

}  // namespace attnlab::vec

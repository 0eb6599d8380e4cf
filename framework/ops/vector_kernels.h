// Loops over one row, vectorised. All spans of one call have the same length unless said.
#pragma once

#include <cstdint>
#include <span>

#include <attnlab/api.h>

#include "base/activation.h"

namespace attnlab::vec {

/// to += from
ATTNLAB_API void add(std::span<float> to, std::span<const float> from);
/// x = activation(x)
ATTNLAB_API void activate(Activation activation, std::span<float> x);
/// to = activation(gate) * to
ATTNLAB_API void activate_multiply(Activation activation, std::span<float> to, const float* gate);
/// out = x / sqrt(mean(x^2) + eps) * weight; out may be x
ATTNLAB_API void rms_norm(std::span<const float> x, std::span<const float> weight, float eps, std::span<float> out);
/// out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias; out may be x
ATTNLAB_API void layer_norm(std::span<const float> x, std::span<const float> weight, std::span<const float> bias,
                            float eps, std::span<float> out);
/// From gradients of out = rms_norm(x): added to those of x and of the weight.
ATTNLAB_API void rms_norm_backward(std::span<const float> x, std::span<const float> weight, float eps,
                                   std::span<const float> of_out, std::span<float> of_x, std::span<float> of_weight);
/// From gradients of out = layer_norm(x): added to those of x, of the weight and of the bias.
ATTNLAB_API void layer_norm_backward(std::span<const float> x, std::span<const float> weight, float eps,
                                     std::span<const float> of_out, std::span<float> of_x, std::span<float> of_weight,
                                     std::span<float> of_bias);
/// Of activation(before): `of` becomes the gradient of `before`.
ATTNLAB_API void activate_backward(Activation activation, std::span<const float> before, std::span<float> of);
/// Of to = activation(gate) * before: `of` becomes the gradient of `before`, that of the gate is added to.
ATTNLAB_API void activate_multiply_backward(Activation activation, std::span<const float> gate,
                                            std::span<const float> before, std::span<float> of,
                                            std::span<float> of_gate);
/// x = cap * tanh(x / cap)
ATTNLAB_API void softcap(std::span<float> x, float cap);
/// The nearest bf16 numbers, ties to even; NaN stays NaN.
ATTNLAB_API void narrow_to_bf16(std::span<const float> from, std::uint16_t* to);
/// What a softmax over x needs: NaN in x makes the sum NaN.
struct ExpSum {
  float largest = 0;       // of x
  double sum = 0;          // of exp(x - largest)
  bool is_single = false;  // one number of x alone is the largest
};
[[nodiscard]] ATTNLAB_API ExpSum exp_sum(std::span<const float> x);
/// x = exp(x - offset) * factor, for x - offset <= 88
ATTNLAB_API void scaled_exp(std::span<float> x, float offset, float factor);
/// Natural logarithm of the sum of exp(x), in double.
ATTNLAB_API double log_sum_exp(std::span<const float> x);

}  // namespace attnlab::vec

// Products of the model with packed weights, split into tasks of fixed size.
#pragma once

#include <span>

#include <attnlab/steps.h>

#include "base/activation.h"
#include "ops/matrix.h"

namespace attnlab {

/// What a product of so many tokens with this matrix multiplies: few tokens are bound by memory, and multiply f32.
[[nodiscard]] ATTNLAB_API Arithmetic multiplied_in(const Matrix& weight, std::int64_t tokens) noexcept;

/// input [tokens, in_dim]. Several products of one input share the parallel region.
ATTNLAB_API void project(TensorView<const float, 2> input, std::span<const Projection> projections);
ATTNLAB_API void project(TensorView<const float, 2> input, const Projection& projection);

/// out = activation(input gate') * (input up'), the first half of a gated MLP (Shazeer 2020) without a buffer for the
/// halves. input [tokens, in_dim], out [tokens, out_dim]; bias [out_dim] or empty.
ATTNLAB_API void gated_project(TensorView<const float, 2> input, const Matrix& gate, const Matrix& up,
                               std::span<const float> gate_bias, std::span<const float> up_bias, Activation activation,
                               TensorView<float, 2> out);

}  // namespace attnlab

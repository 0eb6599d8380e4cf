// Steps over the rows of a chunk, parallel over tokens: norms, rotations, gates. The part of `Steps` that is neither a
// product nor attention.
#pragma once

#include <span>

#include <attnlab/core.h>
#include <attnlab/position_scheme.h>
#include <attnlab/steps.h>
#include <attnlab/tensor_view.h>

#include "base/activation.h"
#include "base/norm.h"

namespace attnlab {

/// RMSNorm of every head; from and to [tokens, heads, width], weight [width]; `to` may be `from`.
ATTNLAB_API void norm_rows(TensorView<const float, 3> from, std::span<const float> weight, float eps,
                           TensorView<float, 3> to);

/// x += delta where there is one, then out = the norm of x; x, delta and out [tokens, width], dense.
ATTNLAB_API void add_norm_rows(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out);

/// Turns the columns of rows [tokens, heads, key_dim] that the shape names, at the chunk's positions; nothing where
/// rotation is null.
ATTNLAB_API void rotate_rows(const ChunkView& chunk, const Rotation* rotation, const KvShape& shape, RotateSide side,
                             TensorView<float, 3> rows);

/// rows [tokens, heads, width] *= sigmoid(gates); gates [tokens, heads] or [tokens, heads * width].
ATTNLAB_API void gate_rows(TensorView<const float, 2> gates, TensorView<float, 3> rows);

/// rows [tokens, width] *= activation(gates), same shape.
ATTNLAB_API void activate_multiply_rows(Activation activation, TensorView<const float, 2> gates,
                                        TensorView<float, 2> rows);
/// rows [tokens, width] = activation(rows)
ATTNLAB_API void activate_rows(Activation activation, TensorView<float, 2> rows);

/// See Steps::silu and Steps::convolve.
ATTNLAB_API void silu_rows(TensorView<float, 3> rows);
ATTNLAB_API void convolve_rows(const ChunkView& chunk, std::span<const float> weight, TensorView<float, 2> state,
                               TensorView<float, 3> rows);

/// to = from; same shape.
ATTNLAB_API void copy_rows(TensorView<const float, 3> from, TensorView<float, 3> to);

/// to = factors[0] * from + factors[1] * to; same shape.
ATTNLAB_API void blend_rows(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to);

/// See Steps::merge.
ATTNLAB_API void merge_rows(std::span<const AttendedPart> parts, TensorView<float, 3> out,
                            TensorView<float, 2> log_sum);

}  // namespace attnlab

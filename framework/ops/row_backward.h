// Derivatives of the steps over rows (row_steps.h). Gradients that are called `of_...` stand in buffers of the same
// layout as what they belong to. Sums over tokens are made in blocks of a fixed size and added in order, so that the
// bits do not depend on the number of threads.
#pragma once

#include <span>

#include <attnlab/core.h>
#include <attnlab/steps.h>
#include <attnlab/tensor_view.h>

#include "base/activation.h"

namespace attnlab {

/// RMSNorm of every head; x [tokens, heads, width] as it was before. of_x is added to, or where it is of_out replaced.
/// of_weight [width], added to.
ATTNLAB_API void norm_rows_backward(TensorView<const float, 3> x, std::span<const float> weight, float eps,
                                    TensorView<const float, 3> of_out, TensorView<float, 3> of_x,
                                    std::span<float> of_weight);

/// LayerNorm of whole rows; x [tokens, width] as it was before. All are added to; of_weight and of_bias [width].
ATTNLAB_API void layer_norm_rows_backward(TensorView<const float, 2> x, std::span<const float> weight, float eps,
                                          TensorView<const float, 2> of_out, TensorView<float, 2> of_x,
                                          std::span<float> of_weight, std::span<float> of_bias);

/// Gradients of rotated rows become those of the rows before; see rotate_rows.
ATTNLAB_API void rotate_rows_back(const ChunkView& chunk, const Rotation* rotation, const KvShape& shape,
                                  RotateSide side, TensorView<float, 3> gradients);

/// before: the rows as the gate found them. `of` becomes their gradient; of_gates is added to.
ATTNLAB_API void gate_rows_backward(TensorView<const float, 2> gates, TensorView<const float, 3> before,
                                    TensorView<float, 3> of, TensorView<float, 2> of_gates);
ATTNLAB_API void activate_multiply_rows_backward(Activation activation, TensorView<const float, 2> gates,
                                                 TensorView<const float, 2> before, TensorView<float, 2> of,
                                                 TensorView<float, 2> of_gates);
ATTNLAB_API void activate_rows_backward(Activation activation, TensorView<const float, 2> before,
                                        TensorView<float, 2> of);
ATTNLAB_API void silu_rows_backward(TensorView<const float, 3> before, TensorView<float, 3> of);

/// From a state of zeros. of_weight is added to.
ATTNLAB_API void convolve_rows_backward(const ChunkView& chunk, std::span<const float> weight,
                                        TensorView<const float, 3> before, TensorView<float, 3> of,
                                        std::span<float> of_weight);

/// before: what `to` held. of_to becomes its gradient; of_from and of_factors [2] are added to.
ATTNLAB_API void blend_rows_backward(TensorView<const float, 3> from, std::span<const float> factors,
                                     TensorView<const float, 3> before, TensorView<float, 3> of_to,
                                     TensorView<float, 3> of_from, std::span<float> of_factors);

/// Gradients of one part of a merge, added to; out and log_sum: what the merge gave. of_log_sum without data: nothing
/// was made of it.
ATTNLAB_API void merge_rows_backward(const AttendedPart& part, TensorView<const float, 3> out,
                                     TensorView<const float, 2> log_sum, TensorView<const float, 3> of_out,
                                     TensorView<const float, 2> of_log_sum, TensorView<float, 3> of_part,
                                     TensorView<float, 2> of_part_log_sum);

/// to [width] += the sum of all rows.
ATTNLAB_API void add_column_sums(TensorView<const float, 2> rows, std::span<float> to);

}  // namespace attnlab

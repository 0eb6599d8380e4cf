// Products with a state of fixed size, for variants that keep one in place of rows: a dense matrix of a few thousand
// numbers, which each token reads and changes as a whole. Vectorised, on the calling thread. Not here: the recurrence
// with decay (state_scan.h), and products of many tokens at once (ops.h).
#pragma once

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab {

/// m [rows, columns] += a b', a [rows], b [columns].
ATTNLAB_API void add_outer_product(float* m, std::int64_t rows, std::int64_t columns, const float* a, const float* b);
/// to [columns] += m' x, x [rows].
ATTNLAB_API void add_transposed_product(const float* m, std::int64_t rows, std::int64_t columns, const float* x,
                                        float* to);
/// to [rows] += m x, x [columns].
ATTNLAB_API void add_matrix_product(const float* m, std::int64_t rows, std::int64_t columns, const float* x, float* to);
/// The sum of a[i] * b[i].
[[nodiscard]] ATTNLAB_API float inner_product(const float* a, const float* b, std::int64_t count);

}  // namespace attnlab

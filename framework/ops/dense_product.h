// Products of plain row-major f32 matrices, either of them transposed: what a backward pass and an optimiser need,
// where both sides change with every step and nothing is worth packing once. Products with the weights of a model that
// only runs: products.h.
#pragma once

#include <cstdint>

#include <attnlab/api.h>

#include "base/element.h"

namespace attnlab {

/// out [rows, columns] = op(a) op(b), with op(a) [rows, depth] and op(b) [depth, columns]. A stride counts the floats
/// from row to row of a matrix as it is stored: `a` is stored [rows, depth], transposed [depth, rows]; `b` is stored
/// [depth, columns], transposed [columns, depth].
struct DenseProduct {
  const float* a;
  std::int64_t a_stride;
  bool a_transposed;
  const float* b;
  std::int64_t b_stride;
  bool b_transposed;
  float* out;
  std::int64_t out_stride;
  std::int64_t rows, columns, depth;
  bool accumulate;  // out += instead of out =, which does not read out
  Arithmetic arithmetic = Arithmetic::f32;
};

/// Runs on all threads: called by one thread, never from a task. Not in place: `out` overlaps neither side. The work is
/// split by the shape alone, so the bits do not depend on the number of threads.
ATTNLAB_API void dense_product(const DenseProduct& product);

}  // namespace attnlab

// Products of many tokens through oneDNN: one single-threaded primitive per task. The only file pair that knows oneDNN.
#pragma once

#include <cstdint>

#include "ops/dense_product.h"

namespace attnlab {

struct BlockProduct {
  const float* input;  // [tokens, in_dim]
  std::int64_t input_stride;
  std::int64_t tokens;
  std::int64_t in_dim;
  const float* panel;  // [in_dim, outputs]
  std::int64_t panel_stride;
  float* out;  // [tokens, outputs]
  std::int64_t out_stride;
  std::int64_t outputs;
};

/// Any thread. Primitives are made once for each shape and kept.
void onednn_product(const BlockProduct& product);

/// Both sides in bf16, sums in f32. Strides count elements, from row to row and from column to column.
struct Bf16Product {
  const std::uint16_t* a;  // [rows, depth]
  std::int64_t a_row, a_column;
  const std::uint16_t* b;  // [depth, columns]
  std::int64_t b_row, b_column;
  float* out;  // [rows, columns]
  std::int64_t out_stride;
  std::int64_t rows, columns, depth;
  bool accumulate;  // out += instead of out =
  bool is_kept;     // its shape comes again: the primitive is kept
};

/// Any thread.
void onednn_bf16_product(const Bf16Product& product);

/// Whether the CPU multiplies bf16 by instructions of its own (AVX512-BF16 or AMX), and oneDNN may use them.
[[nodiscard]] ATTNLAB_API bool has_bf16_products();

/// The whole of it by the calling thread. No primitive is kept: both sides are packed anew.
void onednn_dense_product(const DenseProduct& product);

}  // namespace attnlab

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

/// The whole of it by the calling thread. No primitive is kept: both sides are packed anew.
void onednn_dense_product(const DenseProduct& product);

}  // namespace attnlab

// The arithmetic of one tile: the two products, the transposition of row-major keys, one step of the online softmax.
#pragma once

#include <cstdint>

#include <attnlab/ops.h>  // dot_product

namespace attnlab {

/// out [rows, columns] (+)= a [rows, depth] * b [depth, columns]; columns are computed up to the next multiple of 16,
/// for which b and out must have room. Every output is one sum over depth in ascending order, so it does not depend on
/// the rows that are computed with it.
struct TileProduct {
  const float* a;
  std::int64_t a_stride;
  const float* b = nullptr;
  std::int64_t b_stride = 0;
  float* out;
  std::int64_t out_stride;
  int rows;
  int columns;
  int depth;
  bool accumulate;
};
void tile_product(const TileProduct& product);
/// The same with a given as its transpose: [depth, rows], a_stride from row to row of it.
void tile_product_transposed(const TileProduct& product);
/// The same where b is 8-bit codes, or numbers in bfloat16, b_stride apart; `product.b` is not looked at.
void tile_product_codes(const TileProduct& product, const std::int8_t* codes);
void tile_product_bf16(const TileProduct& product, const std::uint16_t* b);

/// to [width, to_stride] = transposed from [rows, width]; columns rows .. to_stride are set to zero.
void transpose_tile(const float* from, std::int64_t from_stride, int rows, int width, float* to, int to_stride);

/// Partial sums of a row of the online softmax.
inline constexpr int kSoftmaxSums = 16;
/// The reference of a row is replaced where a score exceeds it by more: until then neither sums nor output have to be
/// scaled, and weights are at most exp(8).
inline constexpr float kSoftmaxSlack = 8;

/// One step of the online softmax: the scores of a row become exp(score - reference), are added to the row's sums, and
/// where the reference changes the earlier sums and output are scaled. Scores from `columns` to the next multiple of 16
/// become zero.
struct SoftmaxStep {
  float* scores;  // [rows, kTileRows]
  int rows;
  int columns;
  float* maximum;  // [rows]: the reference, -infinity before anything is seen
  float* sums;     // [rows, kSoftmaxSums]
  float* out;      // [rows, width]
  int width;       // whole vectors of 16
};
void softmax_step(const SoftmaxStep& step);
/// to[row] = the sum of sums [rows, kSoftmaxSums].
void add_up(const float* sums, int rows, float* to);

/// From scores of rows to their softmax weights, exp(score - log_sum), zero where a score is -infinity or the log_sum
/// is; and from gradients of the weights to those of the scores: weight * (gradient - mean).
struct SoftmaxBackward {
  const float* scores;  // [rows, kTileRows], as all of these
  int rows;
  int columns;
  const float* log_sums;  // [rows]
  const float* means;     // [rows]
  float* weights;
  float* gradients;
};
void softmax_backward(const SoftmaxBackward& backward);

/// Asks the second level of the caches for rows of `width` floats that are read or written soon.
inline void fetch_rows(const float* first, std::int64_t stride, int rows, int width) {
  constexpr int line = 16, to_second_level = 2;
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < width; i += line) __builtin_prefetch(first + row * stride + i, 0, to_second_level);
}

/// mass[i] += exp(scores[i] - maximum) * share, for i below count. Scores of what is not seen are -infinity.
void add_probabilities(const float* scores, int count, float maximum, float share, float* mass);

/// to[i] *= factors[i]
void multiply(const float* factors, int count, float* to);
/// row *= factor
void scale_row(float* row, int count, float factor);
/// to = from * factor
void scale_copy(const float* from, int count, float factor, float* to);
/// to += from * factor
void add_scaled(const float* from, int count, float factor, float* to);

}  // namespace attnlab

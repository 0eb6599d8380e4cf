// The arithmetic of one tile: the two products, the transposition of row-major keys, one step of the online softmax.
#pragma once

#include <cstdint>

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
/// The same where b is 8-bit codes, b_stride apart; `product.b` is not looked at.
void tile_product_codes(const TileProduct& product, const std::int8_t* codes);

/// to [width, to_stride] = transposed from [rows, width]; columns rows .. to_stride are set to zero.
void transpose_tile(const float* from, std::int64_t from_stride, int rows, int width, float* to, int to_stride);

/// One step of the online softmax for one row of scores: replaces the scores by exp(score - maximum) and keeps the
/// running maximum and sum. Returns what earlier output has to be multiplied by (1: nothing changed).
/// Scores from `count` to the next multiple of 16 become zero.
float softmax_step(float* scores, int count, float& maximum, float& sum);

/// weights[i] = exp(scores[i] - log_sum), zero where a score is -infinity or the log_sum is.
void softmax_weights(const float* scores, int count, float log_sum, float* weights);
/// gradients[i] = weights[i] * (gradients[i] - mean): from gradients of softmax weights to those of scores.
void softmax_backward(const float* weights, int count, float mean, float* gradients);
/// The sum of a[i] * b[i].
[[nodiscard]] float dot_product(const float* a, const float* b, int count);

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

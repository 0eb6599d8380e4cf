// Products of tiles whose numbers are rounded to bfloat16, two at a time with sums in f32, for a CPU with the
// instructions of AVX512-BF16. Not here: which blocks multiply so (query_block), and rows that are stored in bf16
// (tile_kernels).
#pragma once

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab {

/// Numbers in pairs: depth rounded up.
[[nodiscard]] constexpr int paired(int depth) noexcept {
  return (depth + 1) / 2 * 2;
}

/// to [rows, paired(width)], dense = from [rows, width], rounded to nearest; what is left over is 0.
ATTNLAB_API void round_rows(const float* from, std::int64_t stride, int rows, int width, std::uint16_t* to);

/// to [paired(depth) / 2, columns up to a multiple of 16, 2], dense: pairs of neighbouring rows of from [depth,
/// columns], number by number. What is left over is 0. to is aligned to 64 bytes.
ATTNLAB_API void pair_rows(const float* from, std::int64_t stride, int depth, int columns, std::uint16_t* to);

/// out [rows, columns] (+)= a [rows, depth] * b; columns are computed up to the next multiple of 16, for which out must
/// have room. Every output is one sum over the pairs of depth in ascending order.
struct PairProduct {
  const std::uint16_t* a;  // [rows, depth], rows a_stride apart
  std::int64_t a_stride;
  const std::uint16_t* b;  // as pair_rows leaves it
  float* out;
  std::int64_t out_stride;
  int rows;
  int columns;
  int depth;  // even
  bool accumulate;
};
ATTNLAB_API void pair_product(const PairProduct& product);

}  // namespace attnlab

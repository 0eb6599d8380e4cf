#include "tiles/bf16_tiles.h"

#include <algorithm>
#include <cstring>

#include <immintrin.h>

#define ATTNLAB_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define ATTNLAB_BF16_INLINE __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"), always_inline)) inline

namespace attnlab {
namespace {

constexpr int kLanes = 16;

ATTNLAB_BF16_INLINE __m256i rounded(__m512 numbers) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(numbers));
}

ATTNLAB_BF16_INLINE __mmask16 first_of(int count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffffU : (1U << count) - 1);
}

// Rows x Vectors sums in registers; b streams through once for each block of rows.
template <int Rows, int Vectors>
ATTNLAB_BF16_INLINE void product_block(const PairProduct& p, int row, int column) {
  const std::uint16_t* const a = p.a + row * p.a_stride;
  const std::int64_t b_stride = (p.columns + kLanes - 1) / kLanes * kLanes * 2;
  const std::uint16_t* b = p.b + 2 * column;
  float* const out = p.out + row * p.out_stride + column;
  __m512 sums[Rows][Vectors];
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v)
      sums[r][v] = p.accumulate ? _mm512_loadu_ps(out + r * p.out_stride + v * kLanes) : _mm512_setzero_ps();
  for (int k = 0; k < p.depth; k += 2, b += b_stride) {
    __m512i pairs[Vectors];
    for (int v = 0; v < Vectors; ++v) pairs[v] = _mm512_loadu_si512(b + v * 2 * kLanes);
    for (int r = 0; r < Rows; ++r) {
      std::int32_t of_row;
      std::memcpy(&of_row, a + r * p.a_stride + k, sizeof(of_row));
      const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(of_row));
      for (int v = 0; v < Vectors; ++v)
        sums[r][v] = _mm512_dpbf16_ps(sums[r][v], x, reinterpret_cast<__m512bh>(pairs[v]));
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) _mm512_storeu_ps(out + r * p.out_stride + v * kLanes, sums[r][v]);
}

template <int Vectors>
ATTNLAB_BF16_INLINE void product_rows(const PairProduct& p, int column) {
  constexpr int rows = 6;  // registers hold 6 x 4 sums, 4 of b and one of a
  int row = 0;
  for (; row + rows <= p.rows; row += rows) product_block<rows, Vectors>(p, row, column);
  for (; row + 2 <= p.rows; row += 2) product_block<2, Vectors>(p, row, column);
  if (row < p.rows) product_block<1, Vectors>(p, row, column);
}

}  // namespace

ATTNLAB_BF16 void round_rows(const float* from, std::int64_t stride, int rows, int width, std::uint16_t* to) {
  const int even = paired(width);
  for (int row = 0; row < rows; ++row, from += stride, to += even) {
    int i = 0;
    for (; i + kLanes <= width; i += kLanes)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i), rounded(_mm512_loadu_ps(from + i)));
    if (i == even) continue;
    const __m512 rest = _mm512_maskz_loadu_ps(first_of(width - i), from + i);
    _mm256_mask_storeu_epi16(to + i, first_of(even - i), rounded(rest));
  }
}

ATTNLAB_BF16 void pair_rows(const float* from, std::int64_t stride, int depth, int columns, std::uint16_t* to) {
  for (int row = 0; row < depth; row += 2, from += 2 * stride) {
    const bool is_pair = row + 1 < depth;
    for (int column = 0; column < columns; column += kLanes, to += 2 * kLanes) {
      const __mmask16 mask = first_of(columns - column);
      const __m512 first = _mm512_maskz_loadu_ps(mask, from + column);
      const __m512 second = is_pair ? _mm512_maskz_loadu_ps(mask, from + stride + column) : _mm512_setzero_ps();
      const __m512i low = _mm512_cvtepu16_epi32(rounded(first));
      const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(rounded(second)), 16);
      _mm512_storeu_si512(to, _mm512_or_si512(low, high));
    }
  }
}

ATTNLAB_BF16 void pair_product(const PairProduct& p) {
  const int columns = (p.columns + kLanes - 1) / kLanes * kLanes;
  int column = 0;
  for (; column + 4 * kLanes <= columns; column += 4 * kLanes) product_rows<4>(p, column);
  for (; column + 2 * kLanes <= columns; column += 2 * kLanes) product_rows<2>(p, column);
  if (column < columns) product_rows<1>(p, column);
}

}  // namespace attnlab

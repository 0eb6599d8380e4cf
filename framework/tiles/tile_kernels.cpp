#include "tiles/tile_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tiles/tile_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <attnlab/scores.h>

#include "base/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using V = hn::Vec<F32>;

// Codes are fetched while earlier ones are multiplied: a tile of them is over before the hardware has seen where it
// goes.
constexpr std::uintptr_t kAhead = 2048;  // bytes, half a tile of 64 x 64
HWY_INLINE void fetch_ahead(const float*) {}
HWY_INLINE void fetch_ahead(const std::int8_t* codes) {
  constexpr int to_second_level = 2;
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(codes) + kAhead), 0,
                     to_second_level);
}

HWY_INLINE void fetch_ahead(const hwy::bfloat16_t* numbers) {
  const auto* bytes = reinterpret_cast<const std::int8_t*>(numbers);
  fetch_ahead(bytes);
  fetch_ahead(bytes + 64);
}

HWY_INLINE V load_b(F32 d, const float* b) {
  return hn::LoadU(d, b);
}
HWY_INLINE V load_b(F32 d, const std::int8_t* codes) {
  const hn::Rebind<std::int8_t, F32> narrow;
  const hn::Rebind<std::int32_t, F32> wide;
  return hn::ConvertTo(d, hn::PromoteTo(wide, hn::LoadU(narrow, codes)));
}

HWY_INLINE V load_b(F32 d, const hwy::bfloat16_t* numbers) {
  const hn::Rebind<hwy::bfloat16_t, F32> half;
  return hn::PromoteTo(d, hn::LoadU(half, numbers));
}

enum class Form : bool { rows, transposed };  // of a

// Rows x Vectors sums in registers; b streams through once for each block of rows.
template <Form Of, int Rows, int Vectors, class B>
HWY_INLINE void product_block(const TileProduct& p, const B* all_b, int row, int column) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const float* a = p.a + (Of == Form::rows ? row * p.a_stride : row);
  const B* b = all_b + column;
  float* out = p.out + row * p.out_stride + column;
  V sums[Rows][Vectors];
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v)
      sums[r][v] = p.accumulate ? hn::LoadU(d, out + r * p.out_stride + v * lanes) : hn::Zero(d);
  for (int k = 0; k < p.depth; ++k, b += p.b_stride) {
    fetch_ahead(b);
    V column_of_b[Vectors];
    for (int v = 0; v < Vectors; ++v) column_of_b[v] = load_b(d, b + v * lanes);
    for (int r = 0; r < Rows; ++r) {
      const V x = hn::Set(d, Of == Form::rows ? a[r * p.a_stride + k] : a[k * p.a_stride + r]);
      for (int v = 0; v < Vectors; ++v) sums[r][v] = hn::MulAdd(x, column_of_b[v], sums[r][v]);
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) hn::StoreU(sums[r][v], d, out + r * p.out_stride + v * lanes);
}

// Registers hold Rows x Vectors sums, Vectors of b and one of a. What is left over is one block of its own, so that b
// is never read twice for the few rows of a decode step.
template <Form Of, int Rows, int Vectors, class B>
HWY_INLINE void product_rows(const TileProduct& p, const B* b, int column) {
  int row = 0;
  for (; row + Rows <= p.rows; row += Rows) product_block<Of, Rows, Vectors>(p, b, row, column);
  switch (p.rows - row) {
    case 1:
      return product_block<Of, 1, Vectors>(p, b, row, column);
    case 2:
      return product_block<Of, 2, Vectors>(p, b, row, column);
    case 3:
      return product_block<Of, 3, Vectors>(p, b, row, column);
    case 4:
      return product_block<Of, 4, Vectors>(p, b, row, column);
    case 5:
      return product_block<Of, 5, Vectors>(p, b, row, column);
    default:
      return;
  }
}

template <Form Of = Form::rows, class B>
HWY_INLINE void product(const TileProduct& p, const B* b) {
  const auto lanes = static_cast<int>(hn::Lanes(F32()));
  const int columns = (p.columns + 15) / 16 * 16;
  int column = 0;
#if HWY_MAX_BYTES >= 64
  for (; column + 4 * lanes <= columns; column += 4 * lanes) product_rows<Of, 6, 4>(p, b, column);
#endif
  for (; column + 2 * lanes <= columns; column += 2 * lanes) product_rows<Of, 6, 2>(p, b, column);
  for (; column < columns; column += lanes) product_rows<Of, 6, 1>(p, b, column);
}

void tile_product_target(const TileProduct& p) {
  product(p, p.b);
}
void tile_product_transposed_target(const TileProduct& p) {
  product<Form::transposed>(p, p.b);
}
void tile_product_codes_target(const TileProduct& p, const std::int8_t* codes) {
  product(p, codes);
}

void tile_product_bf16_target(const TileProduct& p, const std::uint16_t* b) {
  product(p, reinterpret_cast<const hwy::bfloat16_t*>(b));
}

void transpose_tile_target(const float* from, std::int64_t from_stride, int rows, int width, float* to, int to_stride) {
  const hn::CappedTag<float, 4> d;
  constexpr int block = 4;
  int row = 0;
  if (hn::Lanes(d) == block) {
    for (; row + block <= rows; row += block) {
      int channel = 0;
      for (; channel + block <= width; channel += block) {
        const float* at = from + row * from_stride + channel;
        const auto r0 = hn::LoadU(d, at);
        const auto r1 = hn::LoadU(d, at + from_stride);
        const auto r2 = hn::LoadU(d, at + 2 * from_stride);
        const auto r3 = hn::LoadU(d, at + 3 * from_stride);
        const auto low01 = hn::InterleaveLower(d, r0, r1);
        const auto low23 = hn::InterleaveLower(d, r2, r3);
        const auto high01 = hn::InterleaveUpper(d, r0, r1);
        const auto high23 = hn::InterleaveUpper(d, r2, r3);
        float* out = to + static_cast<std::int64_t>(channel) * to_stride + row;
        hn::StoreU(hn::ConcatLowerLower(d, low23, low01), d, out);
        hn::StoreU(hn::ConcatUpperUpper(d, low23, low01), d, out + to_stride);
        hn::StoreU(hn::ConcatLowerLower(d, high23, high01), d, out + 2 * to_stride);
        hn::StoreU(hn::ConcatUpperUpper(d, high23, high01), d, out + 3 * to_stride);
      }
      for (; channel < width; ++channel)
        for (int i = 0; i < block; ++i)
          to[static_cast<std::int64_t>(channel) * to_stride + row + i] = from[(row + i) * from_stride + channel];
    }
  }
  for (; row < rows; ++row)
    for (int channel = 0; channel < width; ++channel)
      to[static_cast<std::int64_t>(channel) * to_stride + row] = from[row * from_stride + channel];
  if (rows < to_stride)
    for (int channel = 0; channel < width; ++channel)
      std::fill_n(to + static_cast<std::int64_t>(channel) * to_stride + rows, to_stride - rows, 0.0F);
}

constexpr float kLowest = -std::numeric_limits<float>::infinity();

void scale_target(float* row, int count, float factor) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  for (int i = 0; i < count; i += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, row + i), hn::Set(d, factor)), d, row + i);
}

// A score exceeds the reference by more than the slack, or there is none yet. Returns whether there is one now.
HWY_NOINLINE bool raise_reference(const SoftmaxStep& step, int row, V largest) {
  const F32 d;
  float* const scores = step.scores + static_cast<std::int64_t>(row) * kTileRows;
  float* const sums = step.sums + static_cast<std::int64_t>(row) * kSoftmaxSums;
  float& reference = step.maximum[row];
  const float maximum = std::max(reference, hn::GetLane(hn::MaxOfLanes(d, largest)));
  if (maximum == kLowest) {  // nothing of the tile is seen, and nothing was before
    // Or its scores are NaN, which the maximum leaves out and the output must not.
    if (std::any_of(scores, scores + step.columns, [](float score) { return std::isnan(score); })) {
      reference = 0;
      sums[0] = std::numeric_limits<float>::quiet_NaN();
    }
    std::fill_n(scores, (step.columns + 15) / 16 * 16, 0.0F);
    return false;
  }
  if (reference != kLowest) {
    const float keep = std::exp(reference - maximum);
    scale_target(sums, kSoftmaxSums, keep);
    scale_target(step.out + static_cast<std::int64_t>(row) * step.width, step.width, keep);
  }
  reference = maximum;
  return true;
}

// `padded`: whole vectors of columns; a constant for full tiles, whose scores then stay in registers.
HWY_INLINE void softmax_row(const SoftmaxStep& step, int row, int padded) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  float* const scores = step.scores + static_cast<std::int64_t>(row) * kTileRows;
  float* const sums = step.sums + static_cast<std::int64_t>(row) * kSoftmaxSums;
  V largest = hn::Set(d, kLowest);
  for (int i = 0; i < padded; i += lanes) largest = hn::Max(largest, hn::LoadU(d, scores + i));
  const float limit = step.maximum[row] + kSoftmaxSlack;
  if (limit == kLowest || !hn::AllFalse(d, hn::Gt(largest, hn::Set(d, limit))))
    if (!raise_reference(step, row, largest)) return;
  const V reference = hn::Set(d, step.maximum[row]);
  for (int part = 0; part < kSoftmaxSums; part += lanes) {
    V sum = hn::LoadU(d, sums + part);
    for (int i = part; i < padded; i += kSoftmaxSums) {
      const V weight = exp_approx(d, hn::Sub(hn::LoadU(d, scores + i), reference));
      sum = hn::Add(sum, weight);
      hn::StoreU(weight, d, scores + i);
    }
    hn::StoreU(sum, d, sums + part);
  }
}

void softmax_step_target(const SoftmaxStep& step) {
  const int padded = (step.columns + 15) / 16 * 16;
  if (step.columns == kTileRows) {
    for (int row = 0; row < step.rows; ++row) softmax_row(step, row, kTileRows);
    return;
  }
  for (int row = 0; row < step.rows; ++row) {
    std::fill_n(step.scores + static_cast<std::int64_t>(row) * kTileRows + step.columns, padded - step.columns,
                kLowest);
    softmax_row(step, row, padded);
  }
}

void add_up_target(const float* sums, int rows, float* to) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  for (int row = 0; row < rows; ++row, sums += kSoftmaxSums) {
    V sum = hn::LoadU(d, sums);
    for (int part = lanes; part < kSoftmaxSums; part += lanes) sum = hn::Add(sum, hn::LoadU(d, sums + part));
    to[row] = hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

void add_probabilities_target(const float* scores, int count, float maximum, float share, float* mass) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const V shift = hn::Set(d, maximum);
  const V factor = hn::Set(d, share);
  int i = 0;
  for (; i + lanes <= count; i += lanes)
    hn::StoreU(hn::MulAdd(exp_approx(d, hn::Sub(hn::LoadU(d, scores + i), shift)), factor, hn::LoadU(d, mass + i)), d,
               mass + i);
  for (; i < count; ++i) mass[i] += std::exp(scores[i] - maximum) * share;
}

float dot_product_target(const float* a, const float* b, std::int64_t count) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sums = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) sums = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sums);
  float sum = hn::GetLane(hn::SumOfLanes(d, sums));
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

template <class Body>
HWY_INLINE void for_each_vector(int count, const Body& body) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  int i = 0;
  for (; i + lanes <= count; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) body(one, i);
}

// `columns`: a constant for full tiles.
HWY_INLINE void softmax_backward_rows(const SoftmaxBackward& backward, int columns) {
  for (int row = 0; row < backward.rows; ++row) {
    const std::int64_t at = std::int64_t{row} * kTileRows;
    const float log_sum = backward.log_sums[row];
    if (log_sum == kLowest) {
      std::fill_n(backward.weights + at, columns, 0.0F);
      std::fill_n(backward.gradients + at, columns, 0.0F);
      continue;
    }
    for_each_vector(columns, [&](auto d, int i) {
      const auto weight = exp_approx(d, hn::Sub(hn::LoadU(d, backward.scores + at + i), hn::Set(d, log_sum)));
      const auto centred = hn::Sub(hn::LoadU(d, backward.gradients + at + i), hn::Set(d, backward.means[row]));
      hn::StoreU(weight, d, backward.weights + at + i);
      hn::StoreU(hn::Mul(weight, centred), d, backward.gradients + at + i);
    });
  }
}

void softmax_backward_target(const SoftmaxBackward& backward) {
  if (backward.columns == kTileRows)
    softmax_backward_rows(backward, kTileRows);
  else
    softmax_backward_rows(backward, backward.columns);
}

void scale_copy_target(const float* from, int count, float factor, float* to) {
  for_each_vector(count,
                  [&](auto d, int i) { hn::StoreU(hn::Mul(hn::LoadU(d, from + i), hn::Set(d, factor)), d, to + i); });
}

void add_scaled_target(const float* from, int count, float factor, float* to) {
  for_each_vector(count, [&](auto d, int i) {
    hn::StoreU(hn::MulAdd(hn::LoadU(d, from + i), hn::Set(d, factor), hn::LoadU(d, to + i)), d, to + i);
  });
}

void multiply_target(const float* factors, int count, float* to) {
  for_each_vector(
      count, [&](auto d, int i) { hn::StoreU(hn::Mul(hn::LoadU(d, factors + i), hn::LoadU(d, to + i)), d, to + i); });
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(tile_product_target);
HWY_EXPORT(tile_product_transposed_target);
HWY_EXPORT(tile_product_codes_target);
HWY_EXPORT(tile_product_bf16_target);
HWY_EXPORT(softmax_backward_target);
HWY_EXPORT(add_up_target);
HWY_EXPORT(dot_product_target);
HWY_EXPORT(multiply_target);
HWY_EXPORT(transpose_tile_target);
HWY_EXPORT(softmax_step_target);
HWY_EXPORT(add_probabilities_target);
HWY_EXPORT(scale_copy_target);
HWY_EXPORT(add_scaled_target);

void tile_product(const TileProduct& product) {
  HWY_DYNAMIC_DISPATCH(tile_product_target)(product);
}
void tile_product_transposed(const TileProduct& product) {
  HWY_DYNAMIC_DISPATCH(tile_product_transposed_target)(product);
}
void softmax_backward(const SoftmaxBackward& backward) {
  HWY_DYNAMIC_DISPATCH(softmax_backward_target)(backward);
}
void add_up(const float* sums, int rows, float* to) {
  HWY_DYNAMIC_DISPATCH(add_up_target)(sums, rows, to);
}
float dot_product(const float* a, const float* b, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(dot_product_target)(a, b, count);
}
void tile_product_codes(const TileProduct& product, const std::int8_t* codes) {
  HWY_DYNAMIC_DISPATCH(tile_product_codes_target)(product, codes);
}
void tile_product_bf16(const TileProduct& product, const std::uint16_t* b) {
  HWY_DYNAMIC_DISPATCH(tile_product_bf16_target)(product, b);
}
void multiply(const float* factors, int count, float* to) {
  HWY_DYNAMIC_DISPATCH(multiply_target)(factors, count, to);
}
void transpose_tile(const float* from, std::int64_t from_stride, int rows, int width, float* to, int to_stride) {
  HWY_DYNAMIC_DISPATCH(transpose_tile_target)(from, from_stride, rows, width, to, to_stride);
}
void softmax_step(const SoftmaxStep& step) {
  HWY_DYNAMIC_DISPATCH(softmax_step_target)(step);
}
void add_probabilities(const float* scores, int count, float maximum, float share, float* mass) {
  HWY_DYNAMIC_DISPATCH(add_probabilities_target)(scores, count, maximum, share, mass);
}
void scale_copy(const float* from, int count, float factor, float* to) {
  HWY_DYNAMIC_DISPATCH(scale_copy_target)(from, count, factor, to);
}
void scale_row(float* row, int count, float factor) {
  scale_copy(row, count, factor, row);
}
void add_scaled(const float* from, int count, float factor, float* to) {
  HWY_DYNAMIC_DISPATCH(add_scaled_target)(from, count, factor, to);
}

}  // namespace attnlab
#endif

#include "tiles/nibble_kernels.h"

#include <algorithm>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tiles/nibble_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "base/unrolled-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, 16>;
using V = hn::Vec<F32>;

#if HWY_MAX_BYTES >= 64
constexpr int kKeyVectors = 4;  // of a line of keys: Rows x 4 sums, two vectors of codes and a number stay in registers
constexpr int kPairVectors = 2;
#else
constexpr int kKeyVectors = 1;
constexpr int kPairVectors = 1;
#endif
constexpr int kRows = 6;

// Tiles are read faster than the hardware sees where the next one begins. Half a tile of head_dim 64 ahead, and what
// lies between there and the end of the parameters that stand before the codes.
HWY_INLINE void fetch_ahead(const std::uint8_t* codes) {
  constexpr int to_second_level = 2;
  for (const std::uintptr_t ahead : {2048, 3072})
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(codes) + ahead), 0,
                       to_second_level);
}

// The low and the high halves of bytes, as floats.
HWY_INLINE void split(const std::uint8_t* codes, V& low, V& high) {
  const F32 d;
  const hn::Rebind<std::int32_t, F32> wide;
  const hn::Rebind<std::uint8_t, F32> narrow;
  const auto both = hn::PromoteTo(wide, hn::LoadU(narrow, codes));
#if HWY_ARCH_X86 && HWY_MAX_BYTES == 64
  // A lookup takes the lowest four bits of a lane as its index, and is one instruction.
  alignas(64) static constexpr float kCodes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const V codes_as_floats = hn::Load(d, kCodes);
  low = V{_mm512_permutexvar_ps(both.raw, codes_as_floats.raw)};
  high = V{_mm512_permutexvar_ps(hn::ShiftRight<4>(both).raw, codes_as_floats.raw)};
#else
  low = hn::ConvertTo(d, hn::And(both, hn::Set(wide, 15)));
  high = hn::ConvertTo(d, hn::ShiftRight<4>(both));
#endif
}

HWY_INLINE float sum_of(const float* numbers, int count) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  V sum = hn::Zero(d);
  int i = 0;
  for (; i + lanes <= count; i += lanes) sum = hn::Add(sum, hn::LoadU(d, numbers + i));
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < count; ++i) total += numbers[i];
  return total;
}

// score = sum over groups of scale * (sum of q * code) + minimum * (sum of q)
template <int Rows>
HWY_INLINE void score_rows(const TileProduct& p, const CodedRows& keys, int row) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const float* a = p.a + row * p.a_stride;
  for (int first = 0; first < p.depth; first += keys.group) {
    const int group = first / keys.group;
    const float* scales = keys.scales + std::int64_t{group} * kTileRows;
    const float* minima = keys.minima + std::int64_t{group} * kTileRows;
    float sums[Rows];
    for (int r = 0; r < Rows; ++r) sums[r] = sum_of(a + r * p.a_stride + first, keys.group);
    for (int column = 0; column < kTileRows; column += kKeyVectors * lanes) {
      V products[Rows][kKeyVectors];
      for (auto& of_row : products)
        for (V& product : of_row) product = hn::Zero(d);
      for (int i = first; i < first + keys.group; i += 2) {
        const std::uint8_t* line = keys.nibbles + std::int64_t{i} / 2 * kTileRows + column;
        fetch_ahead(line);
        for (int v = 0; v < kKeyVectors; ++v) {
          V low, high;
          split(line + v * lanes, low, high);
          for (int r = 0; r < Rows; ++r) {
            products[r][v] = hn::MulAdd(hn::Set(d, a[r * p.a_stride + i]), low, products[r][v]);
            products[r][v] = hn::MulAdd(hn::Set(d, a[r * p.a_stride + i + 1]), high, products[r][v]);
          }
        }
      }
      for (int v = 0; v < kKeyVectors; ++v) {
        const V scale = hn::LoadU(d, scales + column + v * lanes), minimum = hn::LoadU(d, minima + column + v * lanes);
        for (int r = 0; r < Rows; ++r) {
          float* const out = p.out + (row + r) * p.out_stride + column + v * lanes;
          const V before = first == 0 ? hn::Zero(d) : hn::LoadU(d, out);
          hn::StoreU(hn::MulAdd(scale, products[r][v], hn::MulAdd(minimum, hn::Set(d, sums[r]), before)), d, out);
        }
      }
    }
  }
}

// out = sum over rows of (w * scale) * code, plus the sum of w * minimum, which all columns of a group share.
template <int Rows>
HWY_INLINE void add_value_rows(const TileProduct& p, const CodedRows& values, int row) {
  const F32 d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const float* a = p.a + row * p.a_stride;
  const std::int64_t row_bytes = p.columns / 2;
  HWY_ALIGN float scaled[kPairVectors][Rows][kTileRows];
  float minimum[kPairVectors][Rows];
  HWY_ALIGN float together[2 * hn::MaxLanes(F32())];
  for (int pair = 0; pair < p.columns / 2; pair += kPairVectors * lanes) {
    const int vectors = std::min(kPairVectors, (p.columns / 2 - pair) / lanes);
    for (int v = 0; v < vectors; ++v) {
      const std::int64_t group = 2 * (pair + v * lanes) / values.group;
      const float* scales = values.scales + group * kTileRows;
      const float* minima = values.minima + group * kTileRows;
      for (int r = 0; r < Rows; ++r) {
        const float* weights = a + r * p.a_stride;
        V sum = hn::Zero(d);
        int i = 0;
        for (; i + lanes <= p.depth; i += lanes) {
          const V weight = hn::LoadU(d, weights + i);
          hn::Store(hn::Mul(weight, hn::LoadU(d, scales + i)), d, &scaled[v][r][i]);
          sum = hn::MulAdd(weight, hn::LoadU(d, minima + i), sum);
        }
        minimum[v][r] = hn::GetLane(hn::SumOfLanes(d, sum));
        for (; i < p.depth; ++i) {
          scaled[v][r][i] = weights[i] * scales[i];
          minimum[v][r] += weights[i] * minima[i];
        }
      }
    }
    const auto add = [&](auto constant) ATTNLAB_INLINED {  // a constant: the sums stay in registers
      constexpr int of_line = constant();
      V even[Rows][of_line], odd[Rows][of_line];
      for_each_pair<Rows, of_line>([&](auto r, auto v) ATTNLAB_INLINED { even[r][v] = odd[r][v] = hn::Zero(d); });
      const std::uint8_t* line = values.nibbles + pair;
      for (int i = 0; i < p.depth; ++i, line += row_bytes) {
        if (i % 2 == 0) fetch_ahead(line);  // a row has half a cache line at head_dim 64
        for_each_of<of_line>([&](auto v) ATTNLAB_INLINED {
          V low, high;
          split(line + v * lanes, low, high);
          for_each_of<Rows>([&](auto r) ATTNLAB_INLINED {
            const V weight = hn::Set(d, scaled[v][r][i]);
            even[r][v] = hn::MulAdd(weight, low, even[r][v]);
            odd[r][v] = hn::MulAdd(weight, high, odd[r][v]);
          });
        });
      }
      for_each_pair<Rows, of_line>([&](auto r, auto v) ATTNLAB_INLINED {
        const V shared = hn::Set(d, minimum[v][r]);
        hn::StoreInterleaved2(hn::Add(even[r][v], shared), hn::Add(odd[r][v], shared), d, together);
        float* const out = p.out + (row + r) * p.out_stride + std::int64_t{2} * (pair + v * lanes);
        for (int half = 0; half < 2; ++half)
          hn::StoreU(hn::Add(hn::LoadU(d, out + half * lanes), hn::Load(d, together + half * lanes)), d,
                     out + half * lanes);
      });
    };
    if (vectors == kPairVectors)
      add(std::integral_constant<int, kPairVectors>());
    else
      add(std::integral_constant<int, 1>());
  }
}

// body(the first row, a constant number of rows)
template <class Body>
HWY_INLINE void in_blocks(int rows, const Body& body) {
  int row = 0;
  for (; row + kRows <= rows; row += kRows) body(row, std::integral_constant<int, kRows>());
  switch (rows - row) {
    case 1:
      return body(row, std::integral_constant<int, 1>());
    case 2:
      return body(row, std::integral_constant<int, 2>());
    case 3:
      return body(row, std::integral_constant<int, 3>());
    case 4:
      return body(row, std::integral_constant<int, 4>());
    case 5:
      return body(row, std::integral_constant<int, 5>());
    default:
      return;
  }
}

void nibble_scores_target(const TileProduct& p, const CodedRows& keys) {
  in_blocks(p.rows, [&](int row, auto rows) HWY_ATTR { score_rows<rows()>(p, keys, row); });
}
void add_nibble_values_target(const TileProduct& p, const CodedRows& values) {
  in_blocks(p.rows, [&](int row, auto rows) HWY_ATTR { add_value_rows<rows()>(p, values, row); });
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(nibble_scores_target);
HWY_EXPORT(add_nibble_values_target);

void nibble_scores(const TileProduct& product, const CodedRows& keys) {
  HWY_DYNAMIC_DISPATCH(nibble_scores_target)(product, keys);
}
void add_nibble_values(const TileProduct& product, const CodedRows& values) {
  HWY_DYNAMIC_DISPATCH(add_nibble_values_target)(product, values);
}

}  // namespace attnlab
#endif

#include "ops/coded_panel.h"

#include <algorithm>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/coded_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "ops/streaming-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
using I32 = hn::RebindToSigned<F32>;

V scales(const std::byte* from) {
  const hn::Rebind<hwy::float16_t, F32> half;
  return hn::PromoteTo(F32(), hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(from)));
}

V codes_of_8(const std::byte* from) {
  const hn::Rebind<std::int8_t, F32> narrow;
  return hn::ConvertTo(F32(), hn::PromoteTo(I32(), hn::LoadU(narrow, reinterpret_cast<const std::int8_t*>(from))));
}

// Both halves of the bytes, as 0 .. 15.
struct Halves {
  V low, high;
};
Halves codes_of_4(const std::byte* from) {
  const hn::Rebind<std::uint8_t, F32> narrow;
  const auto bytes = hn::PromoteTo(I32(), hn::LoadU(narrow, reinterpret_cast<const std::uint8_t*>(from)));
  return {hn::ConvertTo(F32(), hn::And(bytes, hn::Set(I32(), 15))), hn::ConvertTo(F32(), hn::ShiftRight<4>(bytes))};
}

template <ElementType Type>
struct Coded {
  // Tokens x vectors of outputs: the sums of a group stay in registers, those of all groups beside them.
  template <int Tokens, int Vectors>
  static void block(const PanelProduct& p, int first_token, int first_output) {
    const F32 d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const CodedPanel shape{Type, p.in_dim, p.panel_stride};
    V sums[Tokens][Vectors];
    for (auto& row : sums)
      for (V& sum : row) sum = hn::Zero(d);
    const std::byte* group = p.panel;
    float padded[Tokens][kCodeGroup];
    for (std::int64_t first = 0; first < p.in_dim; first += kCodeGroup, group += shape.group_bytes()) {
      const float* x[Tokens];
      const std::int64_t left = p.in_dim - first;
      for (int t = 0; t < Tokens; ++t) {
        x[t] = p.input + (first_token + t) * p.input_stride + first;
        if (left >= kCodeGroup) continue;
        std::fill(std::copy_n(x[t], left, padded[t]), padded[t] + kCodeGroup, 0.0F);
        x[t] = padded[t];
      }
      V of_group[Tokens][Vectors];
      for (auto& row : of_group)
        for (V& sum : row) sum = hn::Zero(d);
      const std::byte* codes = group + shape.scale_bytes() + first_output;
      for (std::int64_t row = 0; row < shape.code_rows(); ++row, codes += p.panel_stride) {
        for (int v = 0; v < Vectors; ++v) {
          if constexpr (Type == ElementType::int8) {
            const V w = codes_of_8(codes + v * lanes);
            for (int t = 0; t < Tokens; ++t) of_group[t][v] = hn::MulAdd(hn::Set(d, x[t][row]), w, of_group[t][v]);
          } else {
            const Halves w = codes_of_4(codes + v * lanes);
            for (int t = 0; t < Tokens; ++t) {
              of_group[t][v] = hn::MulAdd(hn::Set(d, x[t][row]), w.low, of_group[t][v]);
              of_group[t][v] = hn::MulAdd(hn::Set(d, x[t][row + kCodeGroup / 2]), w.high, of_group[t][v]);
            }
          }
        }
      }
      V below[Tokens];  // codes of 4 bits are stored 8 higher
      if constexpr (Type == ElementType::int4) {
        for (int t = 0; t < Tokens; ++t) {
          float sum = 0;
          for (std::int64_t i = 0; i < kCodeGroup; ++i) sum += x[t][i];
          below[t] = hn::Set(d, 8 * sum);
        }
      }
      for (int v = 0; v < Vectors; ++v) {
        const V scale = scales(group + 2 * (first_output + v * lanes));
        for (int t = 0; t < Tokens; ++t) {
          const V sum = Type == ElementType::int4 ? hn::Sub(of_group[t][v], below[t]) : of_group[t][v];
          sums[t][v] = hn::MulAdd(scale, sum, sums[t][v]);
        }
      }
    }
    store_block(p, first_token, first_output, sums);
  }
};

void stream_coded_product_target(const PanelProduct& p) {
  if (p.type == ElementType::int8)
    stream_tokens<Coded<ElementType::int8>>(p);
  else
    stream_tokens<Coded<ElementType::int4>>(p);
}

void widen_codes_target(const CodedPanel& shape, const std::byte* panel, float* to) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::byte* group = panel;
  for (std::int64_t first = 0; first < shape.in_dim; first += kCodeGroup, group += shape.group_bytes()) {
    const std::int64_t count = std::min(kCodeGroup, shape.in_dim - first);
    float* out = to + first * shape.stride;
    for (std::int64_t v = 0; v < shape.stride; v += lanes) {
      const V scale = scales(group + 2 * v);
      const std::byte* codes = group + shape.scale_bytes() + v;
      for (std::int64_t row = 0; row < std::min(count, shape.code_rows()); ++row, codes += shape.stride) {
        if (shape.type == ElementType::int8) {
          hn::StoreU(hn::Mul(scale, codes_of_8(codes)), d, out + row * shape.stride + v);
        } else {
          const Halves both = codes_of_4(codes);
          const V eight = hn::Set(d, 8.0F);
          hn::StoreU(hn::Mul(scale, hn::Sub(both.low, eight)), d, out + row * shape.stride + v);
          if (const std::int64_t high = row + kCodeGroup / 2; high < count)
            hn::StoreU(hn::Mul(scale, hn::Sub(both.high, eight)), d, out + high * shape.stride + v);
        }
      }
    }
  }
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(stream_coded_product_target);
HWY_EXPORT(widen_codes_target);

void widen_codes(const CodedPanel& shape, const std::byte* panel, float* to) {
  HWY_DYNAMIC_DISPATCH(widen_codes_target)(shape, panel, to);
}

void stream_coded_product(const PanelProduct& product) {
  HWY_DYNAMIC_DISPATCH(stream_coded_product_target)(product);
}

}  // namespace attnlab
#endif

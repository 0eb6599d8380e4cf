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

using Words = hn::Vec<I32>;

Words words(const std::byte* from) {
  return hn::LoadU(I32(), reinterpret_cast<const std::int32_t*>(from));
}

// The codes of input I of the eight in a word of each output.
template <int I>
V codes_of_4(Words words) {
#if HWY_ARCH_X86 && HWY_MAX_BYTES == 64
  // A lookup takes the lowest four bits of a lane as its index; it is one instruction where shifting up and converting
  // are two.
  alignas(64) static constexpr float kCodes[16] = {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
  return V{_mm512_permutexvar_ps(hn::ShiftRight<4 * I>(words).raw, hn::Load(F32(), kCodes).raw)};
#else
  return hn::ConvertTo(F32(), hn::ShiftRight<28>(hn::ShiftLeft<28 - 4 * I>(words)));
#endif
}

template <ElementType Type>
struct Coded {
  // Tokens x vectors of outputs: the sums of a group stay in registers, those of all groups beside them.
  template <int Tokens, int Vectors>
  static void block(const PanelProduct& p, int first_token, int first_output) {
    const F32 d;
    constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(F32()));
    constexpr std::int64_t bytes = Type == ElementType::int8 ? 1 : 4;  // of an output in a row of codes
    const CodedPanel shape{Type, p.in_dim, p.panel_stride};
    V sums[Tokens][Vectors];
    for_each_pair<Tokens, Vectors>([&](auto t, auto v) ATTNLAB_INLINED { sums[t][v] = hn::Zero(d); });
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
      for_each_pair<Tokens, Vectors>([&](auto t, auto v) ATTNLAB_INLINED { of_group[t][v] = hn::Zero(d); });
      const auto add = [&](auto v, std::int64_t input, V w) ATTNLAB_INLINED {
        for_each_of<Tokens>(
            [&](auto t) ATTNLAB_INLINED { of_group[t][v] = hn::MulAdd(hn::Set(d, x[t][input]), w, of_group[t][v]); });
      };
      const std::byte* codes = group + shape.scale_bytes() + bytes * first_output;
      for (std::int64_t row = 0; row < shape.code_rows(); ++row, codes += shape.row_bytes()) {
        fetch_behind<static_cast<int>(Vectors * lanes * bytes)>(codes);
        for_each_of<Vectors>([&](auto v) ATTNLAB_INLINED {
          if constexpr (Type == ElementType::int8) {
            add(v, row, codes_of_8(codes + v * lanes));
          } else {
            const Words of_eight = words(codes + bytes * v * lanes);
            for_each_of<8>([&](auto i) ATTNLAB_INLINED { add(v, 8 * row + i, codes_of_4<i>(of_eight)); });
          }
        });
      }
      for_each_of<Vectors>([&](auto v) ATTNLAB_INLINED {
        const V scale = scales(group + 2 * (first_output + v * lanes));
        for_each_of<Tokens>([&](auto t)
                                ATTNLAB_INLINED { sums[t][v] = hn::MulAdd(scale, of_group[t][v], sums[t][v]); });
      });
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
      const std::byte* codes = group + shape.scale_bytes() + v * (shape.type == ElementType::int8 ? 1 : 4);
      for (std::int64_t row = 0; row < shape.code_rows(); ++row, codes += shape.row_bytes()) {
        if (shape.type == ElementType::int8) {
          if (row < count) hn::StoreU(hn::Mul(scale, codes_of_8(codes)), d, out + row * shape.stride + v);
        } else {
          const Words of_eight = words(codes);
          for_each_of<8>([&](auto i) {
            if (const std::int64_t input = 8 * row + i; input < count)
              hn::StoreU(hn::Mul(scale, codes_of_4<i>(of_eight)), d, out + input * shape.stride + v);
          });
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

#include "ops/product_kernels.h"

#include <algorithm>
#include <cstring>

#include "base/convert.h"
#include "ops/coded_panel.h"

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/product_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "ops/streaming-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
V load(F32 d, const float* from) {
  return hn::LoadU(d, from);
}
V load(F32 d, const hwy::bfloat16_t* from) {
  const hn::Rebind<hwy::bfloat16_t, F32> half;
  return hn::PromoteTo(d, hn::LoadU(half, from));
}
V load(F32 d, const hwy::float16_t* from) {
  const hn::Rebind<hwy::float16_t, F32> half;
  return hn::PromoteTo(d, hn::LoadU(half, from));
}

template <class Element>
struct Plain {
  // Tokens x vectors of outputs, all inputs: the sums stay in registers.
  template <int Tokens, int Vectors>
  static void block(const PanelProduct& p, int first_token, int first_output) {
    const F32 d;
    constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(F32()));
    V sums[Tokens][Vectors];
    for_each_pair<Tokens, Vectors>([&](auto t, auto v) ATTNLAB_INLINED { sums[t][v] = hn::Zero(d); });
    const float* input = p.input + first_token * p.input_stride;
    const Element* weights = reinterpret_cast<const Element*>(p.panel) + first_output;
    for (std::int64_t i = 0; i < p.in_dim; ++i, weights += p.panel_stride) {
      if constexpr (sizeof(Element) < sizeof(float))
        fetch_behind<static_cast<int>(Vectors * lanes * sizeof(Element))>(reinterpret_cast<const std::byte*>(weights));
      V x[Tokens];
      for_each_of<Tokens>([&](auto t) ATTNLAB_INLINED { x[t] = hn::Set(d, input[t * p.input_stride + i]); });
      for_each_of<Vectors>([&](auto v) ATTNLAB_INLINED {
        const V w = load(d, weights + v * lanes);
        for_each_of<Tokens>([&](auto t) ATTNLAB_INLINED { sums[t][v] = hn::MulAdd(x[t], w, sums[t][v]); });
      });
    }
    store_block(p, first_token, first_output, sums);
  }
};

void stream_product_target(const PanelProduct& p) {
  switch (p.type) {
    case ElementType::f32:
      stream_tokens<Plain<float>>(p);
      break;
    case ElementType::bf16:
      stream_tokens<Plain<hwy::bfloat16_t>>(p);
      break;
    case ElementType::f16:
      stream_tokens<Plain<hwy::float16_t>>(p);
      break;
    default:
      break;  // codes: stream_product
  }
}

template <class Element>
void widen_elements(const Element* from, std::int64_t count, float* to) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t i = 0; i < count; i += lanes) hn::StoreU(load(d, from + i), d, to + i);
}

void widen_target(const std::byte* from, ElementType type, std::int64_t count, float* to) {
  if (type == ElementType::bf16)
    widen_elements(reinterpret_cast<const hwy::bfloat16_t*>(from), count, to);
  else if (type == ElementType::f16)
    widen_elements(reinterpret_cast<const hwy::float16_t*>(from), count, to);
  else
    std::copy_n(reinterpret_cast<const float*>(from), count, to);
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(stream_product_target);
HWY_EXPORT(widen_target);

void stream_product(const PanelProduct& product) {
  if (is_coded(product.type)) return stream_coded_product(product);
  HWY_DYNAMIC_DISPATCH(stream_product_target)(product);
}
void widen(const std::byte* from, ElementType type, std::int64_t count, float* to) {
  HWY_DYNAMIC_DISPATCH(widen_target)(from, type, count, to);
}

void widen_row(const std::byte* from, ElementType type, std::span<float> to) {
  const std::size_t whole = to.size() / 16 * 16;
  widen(from, type, static_cast<std::int64_t>(whole), to.data());
  const std::byte* rest = from + whole * element_bytes(type);
  for (std::size_t i = 0; i < to.size() - whole; ++i) {
    if (type == ElementType::f32) {
      std::memcpy(&to[whole + i], rest + i * sizeof(float), sizeof(float));
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, rest + i * sizeof bits, sizeof bits);
      to[whole + i] = type == ElementType::bf16 ? from_bf16(bits) : from_f16(bits);
    }
  }
}

}  // namespace attnlab
#endif

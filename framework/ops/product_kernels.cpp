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

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using V = hn::Vec<F32>;

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

// Tokens x vectors of outputs, all inputs: the sums stay in registers.
template <int Tokens, int Vectors, class Element>
void block(const PanelProduct& p, int first_token, int first_output) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  V sums[Tokens][Vectors];
  for (auto& row : sums)
    for (V& sum : row) sum = hn::Zero(d);
  const float* input = p.input + first_token * p.input_stride;
  const Element* weights = reinterpret_cast<const Element*>(p.panel) + first_output;
  for (std::int64_t i = 0; i < p.in_dim; ++i, weights += p.panel_stride) {
    V x[Tokens];
    for (int t = 0; t < Tokens; ++t) x[t] = hn::Set(d, input[t * p.input_stride + i]);
    for (int v = 0; v < Vectors; ++v) {
      const V w = load(d, weights + v * lanes);
      for (int t = 0; t < Tokens; ++t) sums[t][v] = hn::MulAdd(x[t], w, sums[t][v]);
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    float* out = p.out + (first_token + t) * p.out_stride + first_output;
    for (int v = 0; v < Vectors; ++v) {
      const std::int64_t left = p.outputs - first_output - v * lanes;
      if (left >= lanes)
        hn::StoreU(sums[t][v], d, out + v * lanes);
      else if (left > 0)
        hn::BlendedStore(sums[t][v], hn::FirstN(d, static_cast<std::size_t>(left)), d, out + v * lanes);
    }
  }
}

template <int Tokens, class Element>
void columns(const PanelProduct& p, int first_token) {
  const auto lanes = static_cast<int>(hn::Lanes(F32()));
  int output = 0;
  for (; output + 8 * lanes <= p.panel_stride; output += 8 * lanes) block<Tokens, 8, Element>(p, first_token, output);
  for (; output + 4 * lanes <= p.panel_stride; output += 4 * lanes) block<Tokens, 4, Element>(p, first_token, output);
  for (; output < p.panel_stride; output += lanes) block<Tokens, 1, Element>(p, first_token, output);
}

template <class Element>
void tokens(const PanelProduct& p) {
  // With 32 registers three tokens by eight vectors fit; with 16 only one by eight.
  constexpr int most = HWY_MAX_BYTES >= 64 ? 3 : 1;
  int token = 0;
  if constexpr (most == 3) {
    for (; token + 3 <= p.tokens; token += 3) columns<3, Element>(p, token);
    if (token + 2 == p.tokens) {
      columns<2, Element>(p, token);
      token += 2;
    }
  }
  for (; token < p.tokens; ++token) columns<1, Element>(p, token);
}

void stream_product_target(const PanelProduct& p) {
  switch (p.type) {
    case ElementType::f32:
      tokens<float>(p);
      break;
    case ElementType::bf16:
      tokens<hwy::bfloat16_t>(p);
      break;
    case ElementType::f16:
      tokens<hwy::float16_t>(p);
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

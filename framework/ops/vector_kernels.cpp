#include "ops/vector_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <attnlab/ops.h>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/vector_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "base/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;

// Calls body(d, offset) for whole vectors, then for single floats with a one-lane tag.
template <class Body>
HWY_INLINE void for_each_vector(std::size_t count, const Body& body) {
  const F32 d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) body(d, i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) body(one, i);
}

void add_target(float* to, const float* from, std::size_t count) {
  for_each_vector(count, [&](auto d, std::size_t i) {
    hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
  });
}

void narrow_to_bf16_target(const float* from, std::uint16_t* to, std::size_t count) {
  for_each_vector(count, [&](auto d, std::size_t i) {
    const hn::RebindToUnsigned<decltype(d)> du;
    const hn::RebindToSigned<decltype(d)> di;
    const hn::Rebind<std::uint16_t, decltype(d)> half;
    const auto x = hn::LoadU(d, from + i);
    const auto bits = hn::BitCast(du, x);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff))));
    const auto nan = hn::Or(hn::ShiftRight<16>(bits), hn::Set(du, 0x40));
    const auto kept = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(x)), nan, rounded);
    hn::StoreU(hn::DemoteTo(half, hn::BitCast(di, kept)), half, to + i);
  });
}

// The activations: value(d, x), which is NaN for NaN, and slope(d, x), the derivative.
struct Silu {
  // Clamped: exp(88) is still finite, and x / (1 + exp(88)) is as good as zero.
  template <class D, class V>
  static HWY_INLINE V divisor(D d, V x) {
    return hn::Add(hn::Set(d, 1.0F), exp_approx(d, hn::Min(hn::Neg(x), hn::Set(d, 88.0F))));
  }
  template <class D, class V>
  static HWY_INLINE V value(D d, V x) {
    return hn::Div(x, divisor(d, x));
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V x) {
    const auto one = hn::Set(d, 1.0F);
    const auto sigmoid = hn::Div(one, divisor(d, x));
    return hn::Mul(sigmoid, hn::MulAdd(x, hn::Sub(one, sigmoid), one));
  }
};

struct Gelu {
  // Phi(x) = (1 + erf(x / sqrt(2))) / 2, by the rational function of degrees 13 and 8 that Eigen has for erf up to 4.
  // Beyond, 1 is right to a rounding, but a share that is not quite 0 would be multiplied by any x.
  template <class D, class V>
  static HWY_INLINE V share_below(D d, V x) {
    const auto y = hn::Clamp(hn::Mul(x, hn::Set(d, 0.70710678F)), hn::Set(d, -4.0F), hn::Set(d, 4.0F));
    const auto square = hn::Mul(y, y);
    auto over = hn::Set(d, -2.72614225801306e-10F);
    for (const float next : {2.77068142495902e-08F, -2.10102402082508e-06F, -5.69250639462346e-05F,
                             -7.34990630326855e-04F, -2.95459980854025e-03F, -1.60960333262415e-02F})
      over = hn::MulAdd(over, square, hn::Set(d, next));
    auto under = hn::Set(d, -1.45660718464996e-05F);
    for (const float next :
         {-2.13374055278905e-04F, -1.68282697438203e-03F, -7.37332916720468e-03F, -1.42647390514189e-02F})
      under = hn::MulAdd(under, square, hn::Set(d, next));
    const auto half = hn::Set(d, 0.5F);
    const auto share = hn::MulAdd(half, hn::Div(hn::Mul(y, over), under), half);
    return hn::IfThenZeroElse(hn::Le(y, hn::Set(d, -4.0F)), share);
  }
  template <class D, class V>
  static HWY_INLINE V value(D d, V x) {
    return hn::Mul(x, share_below(d, x));
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V x) {  // Phi(x) + x phi(x)
    const auto exponent = hn::Max(hn::Mul(hn::Mul(x, x), hn::Set(d, -0.5F)), hn::Set(d, -87.0F));
    const auto density = hn::Mul(exp_approx(d, exponent), hn::Set(d, 0.39894228F));
    return hn::MulAdd(x, density, share_below(d, x));
  }
};

struct GeluPytorchTanh {
  static constexpr float kScale = 1.59576912F;  // 2 sqrt(2 / pi): (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u))
  static constexpr float kCubic = 0.044715F;
  // From 10 on it is x or 0, and the cube of what is larger would only overflow.
  template <class D, class V>
  static HWY_INLINE V near(D d, V x) {
    return hn::Clamp(x, hn::Set(d, -10.0F), hn::Set(d, 10.0F));
  }
  template <class D, class V>
  static HWY_INLINE V share(D d, V x) {
    const auto inside = hn::MulAdd(hn::Mul(x, x), hn::Set(d, kCubic), hn::Set(d, 1.0F));
    const auto e = exp_approx(d, hn::Mul(hn::Mul(x, inside), hn::Set(d, -kScale)));
    return hn::Div(hn::Set(d, 1.0F), hn::Add(hn::Set(d, 1.0F), e));
  }
  template <class D, class V>
  static HWY_INLINE V value(D d, V x) {
    return hn::Mul(x, share(d, near(d, x)));
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V x) {
    const auto y = near(d, x);
    const auto part = share(d, y);
    const auto turn = hn::MulAdd(hn::Mul(y, y), hn::Set(d, 3 * kCubic * kScale), hn::Set(d, kScale));
    const auto bend = hn::Mul(hn::Mul(y, turn), hn::Mul(part, hn::Sub(hn::Set(d, 1.0F), part)));
    return hn::Add(part, bend);
  }
};

struct Relu {
  template <class D, class V>
  static HWY_INLINE V value(D d, V x) {
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V x) {
    return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0F));
  }
};

struct Relu2 {
  template <class D, class V>
  static HWY_INLINE V value(D d, V x) {
    const auto positive = Relu::value(d, x);
    return hn::Mul(positive, positive);
  }
  template <class D, class V>
  static HWY_INLINE V slope(D d, V x) {
    return hn::Mul(hn::Set(d, 2.0F), Relu::value(d, x));
  }
};

template <class Body>
HWY_INLINE void with_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::silu:
      return body(Silu());
    case Activation::gelu:
      return body(Gelu());
    case Activation::gelu_pytorch_tanh:
      return body(GeluPytorchTanh());
    case Activation::relu:
      return body(Relu());
    case Activation::relu2:
      return body(Relu2());
  }
}

void activate_target(Activation activation, float* x, std::size_t count) {
  with_activation(activation, [&](auto of) {
    for_each_vector(count, [&](auto d, std::size_t i) { hn::StoreU(of.value(d, hn::LoadU(d, x + i)), d, x + i); });
  });
}

void activate_multiply_target(Activation activation, float* to, const float* gate, std::size_t count) {
  with_activation(activation, [&](auto of) {
    for_each_vector(count, [&](auto d, std::size_t i) {
      hn::StoreU(hn::Mul(of.value(d, hn::LoadU(d, gate + i)), hn::LoadU(d, to + i)), d, to + i);
    });
  });
}

HWY_INLINE float sum_of_squares(const float* x, std::size_t count) {
  const F32 d;
  const std::size_t lanes = hn::Lanes(d);
  auto a = hn::Zero(d);
  auto b = hn::Zero(d);
  std::size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto x0 = hn::LoadU(d, x + i);
    const auto x1 = hn::LoadU(d, x + i + lanes);
    a = hn::MulAdd(x0, x0, a);
    b = hn::MulAdd(x1, x1, b);
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(a, b)));
  for (; i < count; ++i) sum += x[i] * x[i];
  return sum;
}

void rms_norm_target(const float* x, const float* weight, float eps, float* out, std::size_t count) {
  const float scale = 1.0F / std::sqrt(sum_of_squares(x, count) / static_cast<float>(count) + eps);
  for_each_vector(count, [&](auto d, std::size_t i) {
    const auto scaled = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, scale));
    hn::StoreU(hn::Mul(scaled, hn::LoadU(d, weight + i)), d, out + i);
  });
}

// y = r w x with r = (mean x^2 + eps)^-1/2: dx += r w dy - x r^3 / n sum(w x dy), dw += r x dy.
void rms_norm_backward_target(const float* x, const float* weight, float eps, const float* of_out, float* of_x,
                              float* of_weight, std::size_t count) {
  const float scale = 1.0F / std::sqrt(sum_of_squares(x, count) / static_cast<float>(count) + eps);
  const F32 whole;
  const std::size_t lanes = hn::Lanes(whole);
  auto sums = hn::Zero(whole);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes)
    sums =
        hn::MulAdd(hn::Mul(hn::LoadU(whole, x + i), hn::LoadU(whole, weight + i)), hn::LoadU(whole, of_out + i), sums);
  float sum = hn::GetLane(hn::SumOfLanes(whole, sums));
  for (; i < count; ++i) sum += x[i] * weight[i] * of_out[i];
  const float pull = scale * scale * scale * sum / static_cast<float>(count);
  for_each_vector(count, [&](auto d, std::size_t at) {
    const auto input = hn::LoadU(d, x + at);
    const auto of = hn::Mul(hn::LoadU(d, of_out + at), hn::Set(d, scale));
    const auto straight = hn::MulAdd(of, hn::LoadU(d, weight + at), hn::LoadU(d, of_x + at));
    hn::StoreU(hn::NegMulAdd(input, hn::Set(d, pull), straight), d, of_x + at);
    hn::StoreU(hn::MulAdd(of, input, hn::LoadU(d, of_weight + at)), d, of_weight + at);
  });
}

// Sum of term(d, offset) over `count` numbers.
template <class Term>
HWY_INLINE float sum_of(std::size_t count, const Term& term) {
  const F32 d;
  const std::size_t lanes = hn::Lanes(d);
  auto sums = hn::Zero(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) sums = hn::Add(sums, term(d, i));
  float sum = hn::GetLane(hn::SumOfLanes(d, sums));
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) sum += hn::GetLane(term(one, i));
  return sum;
}

// What a row is turned by: (x - mean) * scale has mean 0 and variance 1.
struct Standard {
  float mean, scale;
};
HWY_INLINE Standard standard_of(const float* x, float eps, std::size_t count) {
  const float width = static_cast<float>(count);
  const float mean = sum_of(count, [&](auto d, std::size_t i) { return hn::LoadU(d, x + i); }) / width;
  const float squares = sum_of(count, [&](auto d, std::size_t i) {
    const auto off = hn::Sub(hn::LoadU(d, x + i), hn::Set(d, mean));
    return hn::Mul(off, off);
  });
  return {mean, 1.0F / std::sqrt(squares / width + eps)};
}

void layer_norm_target(const float* x, const float* weight, const float* bias, float eps, float* out,
                       std::size_t count) {
  const Standard of = standard_of(x, eps, count);
  for_each_vector(count, [&](auto d, std::size_t i) {
    const auto unit = hn::Mul(hn::Sub(hn::LoadU(d, x + i), hn::Set(d, of.mean)), hn::Set(d, of.scale));
    hn::StoreU(hn::MulAdd(unit, hn::LoadU(d, weight + i), hn::LoadU(d, bias + i)), d, out + i);
  });
}

// y = w u + b with u = r (x - mean): dx += r (w dy - mean(w dy) - u mean(u w dy)), dw += u dy, db += dy.
void layer_norm_backward_target(const float* x, const float* weight, float eps, const float* of_out, float* of_x,
                                float* of_weight, float* of_bias, std::size_t count) {
  const Standard of = standard_of(x, eps, count);
  const auto unit = [&](auto d, std::size_t i) {
    return hn::Mul(hn::Sub(hn::LoadU(d, x + i), hn::Set(d, of.mean)), hn::Set(d, of.scale));
  };
  const auto weighted = [&](auto d, std::size_t i) {
    return hn::Mul(hn::LoadU(d, weight + i), hn::LoadU(d, of_out + i));
  };
  const float width = static_cast<float>(count);
  const float mean = sum_of(count, weighted) / width;
  const float along = sum_of(count, [&](auto d, std::size_t i) { return hn::Mul(weighted(d, i), unit(d, i)); }) / width;
  for_each_vector(count, [&](auto d, std::size_t i) {
    const auto u = unit(d, i);
    const auto straight = hn::Sub(weighted(d, i), hn::Set(d, mean));
    const auto turned = hn::NegMulAdd(u, hn::Set(d, along), straight);
    const auto given = hn::LoadU(d, of_out + i);
    hn::StoreU(hn::MulAdd(turned, hn::Set(d, of.scale), hn::LoadU(d, of_x + i)), d, of_x + i);
    hn::StoreU(hn::MulAdd(given, u, hn::LoadU(d, of_weight + i)), d, of_weight + i);
    hn::StoreU(hn::Add(given, hn::LoadU(d, of_bias + i)), d, of_bias + i);
  });
}

void activate_backward_target(Activation activation, const float* before, float* of, std::size_t count) {
  with_activation(activation, [&](auto kind) {
    for_each_vector(count, [&](auto d, std::size_t i) {
      hn::StoreU(hn::Mul(hn::LoadU(d, of + i), kind.slope(d, hn::LoadU(d, before + i))), d, of + i);
    });
  });
}

void activate_multiply_backward_target(Activation activation, const float* gate, const float* before, float* of,
                                       float* of_gate, std::size_t count) {
  with_activation(activation, [&](auto kind) {
    for_each_vector(count, [&](auto d, std::size_t i) {
      const auto g = hn::LoadU(d, gate + i);
      const auto of_out = hn::LoadU(d, of + i);
      const auto of_active = hn::Mul(of_out, hn::LoadU(d, before + i));
      hn::StoreU(hn::MulAdd(of_active, kind.slope(d, g), hn::LoadU(d, of_gate + i)), d, of_gate + i);
      hn::StoreU(hn::Mul(of_out, kind.value(d, g)), d, of + i);
    });
  });
}

void softcap_target(float* x, std::size_t count, float cap) {
  for_each_vector(count, [&](auto d, std::size_t i) {
    // tanh(y) = (exp(2 y) - 1) / (exp(2 y) + 1), and 1 in single precision from y = 10 on.
    const auto y = hn::Mul(hn::LoadU(d, x + i), hn::Set(d, 2.0F / cap));
    const auto limited = hn::Clamp(y, hn::Set(d, -20.0F), hn::Set(d, 20.0F));
    const auto e = exp_approx(d, limited);
    const auto tanh = hn::Div(hn::Sub(e, hn::Set(d, 1.0F)), hn::Add(e, hn::Set(d, 1.0F)));
    hn::StoreU(hn::Mul(tanh, hn::Set(d, cap)), d, x + i);
  });
}

vec::ExpSum exp_sum_target(const float* x, std::size_t count) {
  const F32 d;
  const std::size_t lanes = hn::Lanes(d);
  auto most = hn::Set(d, -std::numeric_limits<float>::infinity());
  std::size_t whole = 0;
  for (; whole + lanes <= count; whole += lanes) most = hn::Max(most, hn::LoadU(d, x + whole));
  float largest = hn::GetLane(hn::MaxOfLanes(d, most));
  for (std::size_t i = whole; i < count; ++i) largest = std::max(largest, x[i]);
  std::size_t equal = 0;
  const auto limit = hn::Set(d, largest);
  for (std::size_t i = 0; i < whole; i += lanes) equal += hn::CountTrue(d, hn::Eq(hn::LoadU(d, x + i), limit));
  for (std::size_t i = whole; i < count; ++i) equal += x[i] == largest ? 1 : 0;
  if (largest == -std::numeric_limits<float>::infinity()) return {largest, 0, equal == 1};  // nothing to subtract from
  // Sums of 4096 floats are exact enough; the sums themselves are added in double.
  double sum = 0;
  for (std::size_t first = 0; first < count; first += 4096) {
    const std::size_t end = std::min(count, first + 4096);
    auto part = hn::Zero(d);
    std::size_t i = first;
    for (; i + lanes <= end; i += lanes)
      part = hn::Add(part, exp_approx(d, hn::Sub(hn::LoadU(d, x + i), hn::Set(d, largest))));
    sum += hn::GetLane(hn::SumOfLanes(d, part));
    for (; i < end; ++i) sum += std::exp(x[i] - largest);
  }
  return {largest, sum, equal == 1};
}

void scaled_exp_target(float* x, std::size_t count, float offset, float factor) {
  for_each_vector(count, [&](auto d, std::size_t i) {
    const auto power = exp_approx(d, hn::Sub(hn::LoadU(d, x + i), hn::Set(d, offset)));
    hn::StoreU(hn::Mul(power, hn::Set(d, factor)), d, x + i);
  });
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(add_target);
HWY_EXPORT(narrow_to_bf16_target);
HWY_EXPORT(activate_target);
HWY_EXPORT(activate_multiply_target);
HWY_EXPORT(rms_norm_target);
HWY_EXPORT(rms_norm_backward_target);
HWY_EXPORT(layer_norm_target);
HWY_EXPORT(layer_norm_backward_target);
HWY_EXPORT(activate_backward_target);
HWY_EXPORT(activate_multiply_backward_target);
HWY_EXPORT(softcap_target);
HWY_EXPORT(exp_sum_target);
HWY_EXPORT(scaled_exp_target);

namespace vec {
void add(std::span<float> to, std::span<const float> from) {
  HWY_DYNAMIC_DISPATCH(add_target)(to.data(), from.data(), to.size());
}
void activate(Activation activation, std::span<float> x) {
  HWY_DYNAMIC_DISPATCH(activate_target)(activation, x.data(), x.size());
}
void activate_multiply(Activation activation, std::span<float> to, const float* gate) {
  HWY_DYNAMIC_DISPATCH(activate_multiply_target)(activation, to.data(), gate, to.size());
}
void rms_norm(std::span<const float> x, std::span<const float> weight, float eps, std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(rms_norm_target)(x.data(), weight.data(), eps, out.data(), x.size());
}
void layer_norm(std::span<const float> x, std::span<const float> weight, std::span<const float> bias, float eps,
                std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(layer_norm_target)(x.data(), weight.data(), bias.data(), eps, out.data(), x.size());
}
void rms_norm_backward(std::span<const float> x, std::span<const float> weight, float eps,
                       std::span<const float> of_out, std::span<float> of_x, std::span<float> of_weight) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward_target)
  (x.data(), weight.data(), eps, of_out.data(), of_x.data(), of_weight.data(), x.size());
}
void layer_norm_backward(std::span<const float> x, std::span<const float> weight, float eps,
                         std::span<const float> of_out, std::span<float> of_x, std::span<float> of_weight,
                         std::span<float> of_bias) {
  HWY_DYNAMIC_DISPATCH(layer_norm_backward_target)
  (x.data(), weight.data(), eps, of_out.data(), of_x.data(), of_weight.data(), of_bias.data(), x.size());
}
void activate_backward(Activation activation, std::span<const float> before, std::span<float> of) {
  HWY_DYNAMIC_DISPATCH(activate_backward_target)(activation, before.data(), of.data(), of.size());
}
void activate_multiply_backward(Activation activation, std::span<const float> gate, std::span<const float> before,
                                std::span<float> of, std::span<float> of_gate) {
  HWY_DYNAMIC_DISPATCH(activate_multiply_backward_target)
  (activation, gate.data(), before.data(), of.data(), of_gate.data(), gate.size());
}
void softcap(std::span<float> x, float cap) {
  HWY_DYNAMIC_DISPATCH(softcap_target)(x.data(), x.size(), cap);
}
void narrow_to_bf16(std::span<const float> from, std::uint16_t* to) {
  HWY_DYNAMIC_DISPATCH(narrow_to_bf16_target)(from.data(), to, from.size());
}
ExpSum exp_sum(std::span<const float> x) {
  return HWY_DYNAMIC_DISPATCH(exp_sum_target)(x.data(), x.size());
}
void scaled_exp(std::span<float> x, float offset, float factor) {
  HWY_DYNAMIC_DISPATCH(scaled_exp_target)(x.data(), x.size(), offset, factor);
}
double log_sum_exp(std::span<const float> x) {
  const ExpSum found = exp_sum(x);
  return std::isinf(found.largest) && found.largest < 0 ? found.largest : found.largest + std::log(found.sum);
}
}  // namespace vec

void exponentials(std::span<float> x) {
  vec::scaled_exp(x, 0, 1);
}

}  // namespace attnlab
#endif

#include "ops/vector_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

void silu_multiply_target(float* to, const float* gate, std::size_t count) {
  for_each_vector(count, [&](auto d, std::size_t i) {
    const auto g = hn::LoadU(d, gate + i);
    // Clamped: exp(88) is still finite, and g / (1 + exp(88)) is as good as zero.
    const auto e = exp_approx(d, hn::Min(hn::Neg(g), hn::Set(d, 88.0F)));
    const auto silu = hn::Div(g, hn::Add(hn::Set(d, 1.0F), e));
    hn::StoreU(hn::Mul(silu, hn::LoadU(d, to + i)), d, to + i);
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

void silu_multiply_backward_target(const float* gate, const float* before, float* of, float* of_gate,
                                   std::size_t count) {
  for_each_vector(count, [&](auto d, std::size_t i) {
    const auto g = hn::LoadU(d, gate + i);
    const auto one = hn::Set(d, 1.0F);
    const auto e = exp_approx(d, hn::Min(hn::Neg(g), hn::Set(d, 88.0F)));
    const auto sigmoid = hn::Div(one, hn::Add(one, e));
    const auto slope = hn::Mul(sigmoid, hn::MulAdd(g, hn::Sub(one, sigmoid), one));
    const auto of_out = hn::LoadU(d, of + i);
    hn::StoreU(hn::MulAdd(hn::Mul(of_out, hn::LoadU(d, before + i)), slope, hn::LoadU(d, of_gate + i)), d, of_gate + i);
    hn::StoreU(hn::Mul(of_out, hn::Mul(g, sigmoid)), d, of + i);
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

double log_sum_exp_target(const float* x, std::size_t count) {
  const F32 d;
  const std::size_t lanes = hn::Lanes(d);
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, x[i]);
  if (largest == -std::numeric_limits<float>::infinity()) return largest;  // nothing to subtract from
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
  return largest + std::log(sum);
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(add_target);
HWY_EXPORT(silu_multiply_target);
HWY_EXPORT(rms_norm_target);
HWY_EXPORT(rms_norm_backward_target);
HWY_EXPORT(silu_multiply_backward_target);
HWY_EXPORT(softcap_target);
HWY_EXPORT(log_sum_exp_target);

namespace vec {
void add(std::span<float> to, std::span<const float> from) {
  HWY_DYNAMIC_DISPATCH(add_target)(to.data(), from.data(), to.size());
}
void silu_multiply(std::span<float> to, const float* gate) {
  HWY_DYNAMIC_DISPATCH(silu_multiply_target)(to.data(), gate, to.size());
}
void rms_norm(std::span<const float> x, std::span<const float> weight, float eps, std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(rms_norm_target)(x.data(), weight.data(), eps, out.data(), x.size());
}
void add_rms_norm(std::span<float> x, std::span<const float> delta, std::span<const float> weight, float eps,
                  std::span<float> out) {
  add(x, delta);
  rms_norm(x, weight, eps, out);
}
void rms_norm_backward(std::span<const float> x, std::span<const float> weight, float eps,
                       std::span<const float> of_out, std::span<float> of_x, std::span<float> of_weight) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward_target)
  (x.data(), weight.data(), eps, of_out.data(), of_x.data(), of_weight.data(), x.size());
}
void silu_multiply_backward(std::span<const float> gate, std::span<const float> before, std::span<float> of,
                            std::span<float> of_gate) {
  HWY_DYNAMIC_DISPATCH(silu_multiply_backward_target)
  (gate.data(), before.data(), of.data(), of_gate.data(), gate.size());
}
void softcap(std::span<float> x, float cap) {
  HWY_DYNAMIC_DISPATCH(softcap_target)(x.data(), x.size(), cap);
}
double log_sum_exp(std::span<const float> x) {
  return HWY_DYNAMIC_DISPATCH(log_sum_exp_target)(x.data(), x.size());
}
}  // namespace vec
}  // namespace attnlab
#endif

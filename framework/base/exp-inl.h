// exp for vectors of any width; included once per target by the kernels that need it.
// Range reduction to |r| <= ln2/2 and a polynomial of degree 5 (minimax fit, relative error 1.05e-7 before rounding);
// about twice as fast as the one of Highway's math library, which also serves arguments that never occur here.
#if defined(ATTNLAB_BASE_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNLAB_BASE_EXP_INL_H_
#undef ATTNLAB_BASE_EXP_INL_H_
#else
#define ATTNLAB_BASE_EXP_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {

/// exp(x) for x <= 88.3; zero for x below -87.3, also for -infinity.
template <class D, class Vec>
HWY_INLINE Vec exp_approx(D d, Vec x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToSigned<D> di;
  const Vec lowest = hn::Set(d, -87.33654F);
  const Vec clamped = hn::Max(lowest, x);  // of two operands x86 gives the second where one is NaN
  // Adding 1.5 * 2^23 rounds to an integer that then stands in the low bits.
  const Vec magic = hn::Set(d, 12582912.0F);
  const Vec shifted = hn::MulAdd(clamped, hn::Set(d, 1.44269504F), magic);
  const Vec n = hn::Sub(shifted, magic);
  Vec r = hn::NegMulAdd(n, hn::Set(d, 0.693145752F), clamped);
  r = hn::NegMulAdd(n, hn::Set(d, 1.42860677e-6F), r);
  Vec p = hn::Set(d, 8.312501666e-3F);
  p = hn::MulAdd(p, r, hn::Set(d, 4.189033277e-2F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.666711539e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 4.999923030e-1F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  const Vec scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
  return hn::IfThenElse(hn::Ge(x, lowest), scaled, hn::Sub(clamped, lowest));  // 0, and NaN for NaN
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

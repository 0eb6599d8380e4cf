#include "states/state_kernels.h"

#include <algorithm>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "states/state_kernels.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include "base/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using One = hn::CappedTag<float, 1>;

// body(tag, column) for whole vectors, then for single numbers.
template <class Body>
HWY_INLINE void for_columns(std::int64_t columns, const Body& body) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t j = 0;
  for (; j + lanes <= columns; j += lanes) body(d, j);
  for (; j < columns; ++j) body(One(), j);
}

// rows_of(first) with a constant number of rows: what all rows read is loaded once for four of them.
template <class Body>
HWY_INLINE void for_rows(std::int64_t rows, const Body& rows_of) {
  std::int64_t i = 0;
  for (; i + 4 <= rows; i += 4) rows_of(i, std::integral_constant<int, 4>());
  for (; i < rows; ++i) rows_of(i, std::integral_constant<int, 1>());
}

void step_state_target(const StateStep& step) {
  const std::int64_t d = step.d;
  for (int head = 0; head < step.heads; ++head) std::fill_n(step.out + head * step.out_stride, d, 0.0F);
  for_rows(d, [&](std::int64_t i, auto rows) {
    for_columns(d, [&](auto tag, std::int64_t j) {
      hn::Vec<decltype(tag)> after[rows()];
      const auto written = hn::LoadU(tag, step.written + j);
      for (int r = 0; r < rows; ++r) {
        float* const at = step.state + (i + r) * d + j;
        const auto kept = hn::Mul(hn::Set(tag, step.decays[i + r]), hn::LoadU(tag, at));
        after[r] = hn::MulAdd(hn::Set(tag, step.key[i + r]), written, kept);
        hn::StoreU(after[r], tag, at);
      }
      for (int head = 0; head < step.heads; ++head) {
        const float* query = step.queries + head * step.queries_stride + i;
        float* const to = step.out + head * step.out_stride + j;
        auto sum = hn::LoadU(tag, to);
        for (int r = 0; r < rows; ++r) sum = hn::MulAdd(hn::Set(tag, query[r] * step.scale), after[r], sum);
        hn::StoreU(sum, tag, to);
      }
    });
  });
}

void find_decays_target(const float* log_decays, std::int64_t d, float* decays) {
  for_columns(d, [&](auto tag, std::int64_t j) {
    hn::StoreU(exp_approx(tag, hn::LoadU(tag, log_decays + j)), tag, decays + j);
  });
}

void recall_state_target(const float* state, std::int64_t d, const float* decays, const float* key, float* recalled) {
  std::fill_n(recalled, d, 0.0F);
  for_rows(d, [&](std::int64_t i, auto rows) {
    float faded[rows()];
    for (int r = 0; r < rows; ++r) faded[r] = key[i + r] * decays[i + r];
    for_columns(d, [&](auto tag, std::int64_t j) {
      auto sum = hn::LoadU(tag, recalled + j);
      for (int r = 0; r < rows; ++r)
        sum = hn::MulAdd(hn::Set(tag, faded[r]), hn::LoadU(tag, state + (i + r) * d + j), sum);
      hn::StoreU(sum, tag, recalled + j);
    });
  });
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(step_state_target);
HWY_EXPORT(find_decays_target);
HWY_EXPORT(recall_state_target);

void step_state(const StateStep& step) {
  HWY_DYNAMIC_DISPATCH(step_state_target)(step);
}
void find_decays(const float* log_decays, std::int64_t d, float* decays) {
  HWY_DYNAMIC_DISPATCH(find_decays_target)(log_decays, d, decays);
}
void recall_state(const float* state, std::int64_t d, const float* decays, const float* key, float* recalled) {
  HWY_DYNAMIC_DISPATCH(recall_state_target)(state, d, decays, key, recalled);
}

}  // namespace attnlab
#endif

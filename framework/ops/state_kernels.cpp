#include "ops/state_kernels.h"

#include <algorithm>

#include <attnlab/state_products.h>

#define HWY_DISABLED_TARGETS HWY_AVX3_DL  // nothing here gains from it, and every target costs build time
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/state_kernels.cpp"
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

// Sums that for_columns adds up: of vectors, and of the numbers behind them.
struct Sum {
  hn::Vec<F32> vectors;
  hn::Vec<One> numbers;
  HWY_INLINE Sum() : vectors(hn::Zero(F32())), numbers(hn::Zero(One())) {}
  template <class D>
  HWY_INLINE auto& of(D) {
    if constexpr (std::is_same_v<D, F32>)
      return vectors;
    else
      return numbers;
  }
  HWY_INLINE float total() const { return hn::GetLane(hn::SumOfLanes(F32(), vectors)) + hn::GetLane(numbers); }
};

// rows_of(first) with a constant number of rows: what all rows read is loaded once for four of them.
template <class Body>
HWY_INLINE void for_rows(std::int64_t rows, const Body& rows_of) {
  std::int64_t i = 0;
  for (; i + 4 <= rows; i += 4) rows_of(i, std::integral_constant<int, 4>());
  for (; i < rows; ++i) rows_of(i, std::integral_constant<int, 1>());
}

void step_state_target(const StateStep& step) {
  const std::int64_t d = step.d;
  const StateReaders& readers = step.readers;
  for (int head = 0; head < readers.heads; ++head) std::fill_n(step.out + head * step.out_stride, d, 0.0F);
  for_rows(d, [&](std::int64_t i, auto rows) {
    for_columns(d, [&](auto tag, std::int64_t j) {
      hn::Vec<decltype(tag)> after[rows()];
      const auto written = hn::LoadU(tag, step.written + j);
      for (int r = 0; r < rows; ++r) {
        const auto kept = hn::Mul(hn::Set(tag, step.decays[i + r]), hn::LoadU(tag, step.before + (i + r) * d + j));
        after[r] = hn::MulAdd(hn::Set(tag, step.key[i + r]), written, kept);
        hn::StoreU(after[r], tag, step.after + (i + r) * d + j);
      }
      for (int head = 0; head < readers.heads; ++head) {
        const float* query = readers.queries + head * readers.stride + i;
        float* const to = step.out + head * step.out_stride + j;
        auto sum = hn::LoadU(tag, to);
        for (int r = 0; r < rows; ++r) sum = hn::MulAdd(hn::Set(tag, query[r] * readers.scale), after[r], sum);
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

// to += m' x, where x_i = a_i, or a_i b_i.
HWY_INLINE void add_transposed(const float* m, std::int64_t rows, std::int64_t columns, const float* a, const float* b,
                               float* to) {
  for_rows(rows, [&](std::int64_t i, auto count) {
    float x[count()];
    for (int r = 0; r < count; ++r) x[r] = b == nullptr ? a[i + r] : a[i + r] * b[i + r];
    for_columns(columns, [&](auto tag, std::int64_t j) {
      auto sum = hn::LoadU(tag, to + j);
      for (int r = 0; r < count; ++r)
        sum = hn::MulAdd(hn::Set(tag, x[r]), hn::LoadU(tag, m + (i + r) * columns + j), sum);
      hn::StoreU(sum, tag, to + j);
    });
  });
}

void recall_state_target(const float* before, std::int64_t d, const float* decays, const float* key, float* recalled) {
  std::fill_n(recalled, d, 0.0F);
  add_transposed(before, d, d, key, decays, recalled);
}

void undo_reads_target(const StateStepBackward& step) {
  const std::int64_t d = step.d;
  std::fill_n(step.of_written, d, 0.0F);
  const StateReaders& readers = step.readers;
  for (int head = 0; head < readers.heads; ++head) {
    const float* of_out = step.of_out + head * step.of_out_stride;
    const float* query = readers.queries + head * readers.stride;
    float* const of_query = step.of_queries + head * step.of_queries_stride;
    for_rows(d, [&](std::int64_t i, auto rows) {
      Sum read[rows()];
      for_columns(d, [&](auto tag, std::int64_t j) {
        const auto of = hn::LoadU(tag, of_out + j);
        for (int r = 0; r < rows; ++r) {
          read[r].of(tag) = hn::MulAdd(hn::LoadU(tag, step.after + (i + r) * d + j), of, read[r].of(tag));
          float* const to = step.of_state + (i + r) * d + j;
          hn::StoreU(hn::MulAdd(hn::Set(tag, query[i + r] * readers.scale), of, hn::LoadU(tag, to)), tag, to);
        }
      });
      for (int r = 0; r < rows; ++r) of_query[i + r] += readers.scale * read[r].total();
    });
  }
  for_rows(d, [&](std::int64_t i, auto rows) {
    Sum under_key[rows()];
    for_columns(d, [&](auto tag, std::int64_t j) {
      const auto written = hn::LoadU(tag, step.written + j);
      auto of_written = hn::LoadU(tag, step.of_written + j);
      for (int r = 0; r < rows; ++r) {
        const auto of = hn::LoadU(tag, step.of_state + (i + r) * d + j);
        under_key[r].of(tag) = hn::MulAdd(of, written, under_key[r].of(tag));
        of_written = hn::MulAdd(hn::Set(tag, step.key[i + r]), of, of_written);
      }
      hn::StoreU(of_written, tag, step.of_written + j);
    });
    for (int r = 0; r < rows; ++r) step.of_key[i + r] += under_key[r].total();
  });
}

void undo_fading_target(const StateStepBackward& step) {
  const std::int64_t d = step.d;
  const float* const of_recalled = step.of_written;
  for_rows(d, [&](std::int64_t i, auto rows) {
    Sum faded[rows()], found[rows()];
    for_columns(d, [&](auto tag, std::int64_t j) {
      for (int r = 0; r < rows; ++r) {
        const auto before = hn::LoadU(tag, step.before + (i + r) * d + j);
        float* const to = step.of_state + (i + r) * d + j;
        auto of = hn::LoadU(tag, to);
        faded[r].of(tag) = hn::MulAdd(of, before, faded[r].of(tag));
        if (step.recalls) {
          const auto recalled = hn::LoadU(tag, of_recalled + j);
          found[r].of(tag) = hn::MulAdd(recalled, before, found[r].of(tag));
          of = hn::MulAdd(hn::Set(tag, step.key[i + r]), recalled, of);
        }
        hn::StoreU(hn::Mul(of, hn::Set(tag, step.decays[i + r])), tag, to);
      }
    });
    for (int r = 0; r < rows; ++r) {
      const float of_key = step.recalls ? found[r].total() : 0;
      step.of_key[i + r] += step.decays[i + r] * of_key;
      step.of_decays[i + r] = faded[r].total() + step.key[i + r] * of_key;
    }
  });
}

void add_outer_product_target(float* m, std::int64_t rows, std::int64_t columns, const float* a, const float* b) {
  for_rows(rows, [&](std::int64_t i, auto count) {
    for_columns(columns, [&](auto tag, std::int64_t j) {
      const auto right = hn::LoadU(tag, b + j);
      for (int r = 0; r < count; ++r) {
        float* const to = m + (i + r) * columns + j;
        hn::StoreU(hn::MulAdd(hn::Set(tag, a[i + r]), right, hn::LoadU(tag, to)), tag, to);
      }
    });
  });
}

void add_transposed_product_target(const float* m, std::int64_t rows, std::int64_t columns, const float* x, float* to) {
  add_transposed(m, rows, columns, x, nullptr, to);
}

void add_matrix_product_target(const float* m, std::int64_t rows, std::int64_t columns, const float* x, float* to) {
  for_rows(rows, [&](std::int64_t i, auto count) {
    Sum sums[count()];
    for_columns(columns, [&](auto tag, std::int64_t j) {
      const auto right = hn::LoadU(tag, x + j);
      for (int r = 0; r < count; ++r)
        sums[r].of(tag) = hn::MulAdd(hn::LoadU(tag, m + (i + r) * columns + j), right, sums[r].of(tag));
    });
    for (int r = 0; r < count; ++r) to[i + r] += sums[r].total();
  });
}

float inner_product_target(const float* a, const float* b, std::int64_t count) {
  Sum sum;
  for_columns(count, [&](auto tag, std::int64_t j) {
    sum.of(tag) = hn::MulAdd(hn::LoadU(tag, a + j), hn::LoadU(tag, b + j), sum.of(tag));
  });
  return sum.total();
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnlab {
HWY_EXPORT(step_state_target);
HWY_EXPORT(find_decays_target);
HWY_EXPORT(recall_state_target);
HWY_EXPORT(undo_reads_target);
HWY_EXPORT(undo_fading_target);
HWY_EXPORT(add_outer_product_target);
HWY_EXPORT(add_transposed_product_target);
HWY_EXPORT(add_matrix_product_target);
HWY_EXPORT(inner_product_target);

void step_state(const StateStep& step) {
  HWY_DYNAMIC_DISPATCH(step_state_target)(step);
}
void find_decays(const float* log_decays, std::int64_t d, float* decays) {
  HWY_DYNAMIC_DISPATCH(find_decays_target)(log_decays, d, decays);
}
void recall_state(const float* before, std::int64_t d, const float* decays, const float* key, float* recalled) {
  HWY_DYNAMIC_DISPATCH(recall_state_target)(before, d, decays, key, recalled);
}
void undo_reads(const StateStepBackward& step) {
  HWY_DYNAMIC_DISPATCH(undo_reads_target)(step);
}
void undo_fading(const StateStepBackward& step) {
  HWY_DYNAMIC_DISPATCH(undo_fading_target)(step);
}
void add_outer_product(float* m, std::int64_t rows, std::int64_t columns, const float* a, const float* b) {
  HWY_DYNAMIC_DISPATCH(add_outer_product_target)(m, rows, columns, a, b);
}
void add_transposed_product(const float* m, std::int64_t rows, std::int64_t columns, const float* x, float* to) {
  HWY_DYNAMIC_DISPATCH(add_transposed_product_target)(m, rows, columns, x, to);
}
void add_matrix_product(const float* m, std::int64_t rows, std::int64_t columns, const float* x, float* to) {
  HWY_DYNAMIC_DISPATCH(add_matrix_product_target)(m, rows, columns, x, to);
}
float inner_product(const float* a, const float* b, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(inner_product_target)(a, b, count);
}

}  // namespace attnlab
#endif

// Loops over constants that are always unrolled, so that arrays of vectors that are indexed by them stay in registers:
// at -O2 the compiler leaves short loops as loops now and then, and such an array in memory. Included once per target
// by the kernels that need it.
#if defined(ATTNLAB_BASE_UNROLLED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNLAB_BASE_UNROLLED_INL_H_
#undef ATTNLAB_BASE_UNROLLED_INL_H_
#else
#define ATTNLAB_BASE_UNROLLED_INL_H_
#endif

#include <type_traits>
#include <utility>

#include <hwy/highway.h>

// A lambda that is never a call: what it takes by reference need not be in memory.
#undef ATTNLAB_INLINED
#define ATTNLAB_INLINED __attribute__((always_inline))

HWY_BEFORE_NAMESPACE();
namespace attnlab::HWY_NAMESPACE {

/// with(0) .. with(Count - 1), the numbers as types.
template <int Count, class With>
HWY_INLINE void for_each_of(const With& with) {
  [&]<int... I>(std::integer_sequence<int, I...>) ATTNLAB_INLINED {
    (with(std::integral_constant<int, I>()), ...);
  }
  (std::make_integer_sequence<int, Count>());
}

/// with(i, j) for i < Rows and j < Columns, as for_each_of.
template <int Rows, int Columns, class With>
HWY_INLINE void for_each_pair(const With& with) {
  for_each_of<Rows>([&](auto i) ATTNLAB_INLINED { for_each_of<Columns>([&](auto j) ATTNLAB_INLINED { with(i, j); }); });
}

}  // namespace attnlab::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target

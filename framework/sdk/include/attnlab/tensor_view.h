// A pointer with a shape and strides, in which every buffer is passed. Owns nothing; checks indices in debug builds
// only.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include <attnlab/api.h>

namespace attnlab {

template <class T, int Rank>
class TensorView {
  static_assert(Rank >= 1 && Rank <= 4);

 public:
  using Extents = std::array<std::int64_t, Rank>;

  TensorView() = default;

  /// Dense, last index fastest.
  TensorView(T* data, const Extents& extents) : data_(data), extents_(extents) {
    std::int64_t stride = 1;
    for (int axis = Rank - 1; axis >= 0; --axis) {
      strides_[axis] = stride;
      stride *= extents_[axis];
    }
  }

  /// Any layout; strides count elements.
  TensorView(T* data, const Extents& extents, const Extents& strides)
      : data_(data), extents_(extents), strides_(strides) {}

  operator TensorView<const T, Rank>() const  // NOLINT: reading is always allowed
      requires(!std::is_const_v<T>) {
    return {data_, extents_, strides_};
  }

  [[nodiscard]] T* data() const noexcept { return data_; }
  [[nodiscard]] std::int64_t extent(int axis) const noexcept { return extents_[axis]; }
  [[nodiscard]] std::int64_t stride(int axis) const noexcept { return strides_[axis]; }
  [[nodiscard]] std::int64_t elements() const noexcept {
    std::int64_t count = 1;
    for (const std::int64_t extent : extents_) count *= extent;
    return count;
  }

  /// One element.
  template <class... Index>
  requires(sizeof...(Index) == Rank) [[nodiscard]] T& operator()(Index... index) const noexcept {
    const Extents at{static_cast<std::int64_t>(index)...};
    std::int64_t offset = 0;
    for (int axis = 0; axis < Rank; ++axis) {
      ATTNLAB_DCHECK(at[axis] >= 0 && at[axis] < extents_[axis], "index outside the view");
      offset += at[axis] * strides_[axis];
    }
    return data_[offset];
  }

  /// The view of one index of the first axis.
  [[nodiscard]] TensorView<T, (Rank > 1 ? Rank - 1 : 1)> operator[](std::int64_t index) const noexcept
      requires(Rank > 1) {
    ATTNLAB_DCHECK(index >= 0 && index < extents_[0], "index outside the view");
    std::array<std::int64_t, Rank - 1> extents;
    std::array<std::int64_t, Rank - 1> strides;
    for (int axis = 1; axis < Rank; ++axis) {
      extents[axis - 1] = extents_[axis];
      strides[axis - 1] = strides_[axis];
    }
    return {data_ + index * strides_[0], extents, strides};
  }

  [[nodiscard]] T& operator[](std::int64_t index) const noexcept requires(Rank == 1) {
    ATTNLAB_DCHECK(index >= 0 && index < extents_[0], "index outside the view");
    return data_[index * strides_[0]];
  }

  /// One row as a span; the last axis must be dense.
  [[nodiscard]] std::span<T> row(std::int64_t index) const noexcept requires(Rank == 2) {
    ATTNLAB_DCHECK(strides_[1] == 1, "the rows of this view are not dense");
    return {data_ + index * strides_[0], static_cast<std::size_t>(extents_[1])};
  }

  /// Indices first .. first + count of the first axis.
  [[nodiscard]] TensorView slice(std::int64_t first, std::int64_t count) const noexcept {
    TensorView part = *this;
    part.data_ += first * strides_[0];
    part.extents_[0] = count;
    return part;
  }

 private:
  T* data_ = nullptr;
  Extents extents_{};
  Extents strides_{};
};

}  // namespace attnlab

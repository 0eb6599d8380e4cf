// What a backward pass gives to code that writes its own derivative: the gradients of the buffers and parameters that
// it has read and written.
#pragma once

#include <cstdint>
#include <span>

#include <attnlab/api.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

/// Gradients of one loss. The gradient of a buffer stands in a buffer of the same layout.
class ATTNLAB_API Gradients {
 public:
  virtual ~Gradients();

  /// Of a buffer of the layer's call, or of a part of it, in the buffer's layout. What later steps have made of it so
  /// far: complete for what a step wrote, to be added to for what it read.
  template <class T, int Rank>
  [[nodiscard]] TensorView<float, Rank> of(TensorView<T, Rank> buffer) {
    typename TensorView<float, Rank>::Extents extents, strides;
    for (int axis = 0; axis < Rank; ++axis) {
      extents[axis] = buffer.extent(axis);
      strides[axis] = buffer.stride(axis);
    }
    return {of_buffer(buffer.data()), extents, strides};
  }
  /// Of numbers that the component declared as parameters: a span that `bind` got, or a part of one. To be added to, by
  /// one thread at a time.
  [[nodiscard]] virtual std::span<float> of_parameter(std::span<const float> values) = 0;

 protected:
  [[nodiscard]] virtual float* of_buffer(const float* first) = 0;
};

}  // namespace attnlab

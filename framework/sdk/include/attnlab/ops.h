// The steps that attention variants share: projections, norms, appending. All are parallel inside.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include <attnlab/api.h>
#include <attnlab/attention_variant.h>
#include <attnlab/module.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

/// One product of a call of `project`: out = input * weight' (+ bias). out [tokens, out_dim], dense rows.
struct Projection {
  const Matrix& weight;
  TensorView<float, 2> out;
  std::span<const float> bias = {};  // [out_dim] or empty
};

/// input [tokens, in_dim]. Several products of one input share the parallel region.
ATTNLAB_API void project(TensorView<const float, 2> input, std::span<const Projection> projections);
ATTNLAB_API void project(TensorView<const float, 2> input, const Projection& projection);

/// A matrix that a variant makes itself, from values that it declared (a part of them, transposed ...).
class ATTNLAB_API PackedMatrix {
 public:
  /// rows [out_dim, in_dim], copied.
  PackedMatrix(std::span<const float> rows, std::int64_t out_dim, std::int64_t in_dim);
  ~PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  operator const Matrix&() const noexcept { return *matrix_; }  // NOLINT: it is one

 private:
  std::unique_ptr<Matrix> matrix_;
};

/// Calls task(index) for every index below count, in parallel, in no particular order. Tasks must not start tasks.
ATTNLAB_API void for_each_index(int count, const std::function<void(int)>& task);

/// [tokens, heads, width] seen as [tokens, heads * width].
[[nodiscard]] inline TensorView<float, 2> flat(TensorView<float, 3> rows) {
  return {rows.data(), {rows.extent(0), rows.extent(1) * rows.extent(2)}};
}

/// RMSNorm of every head in place; rows [tokens, heads, width], weight [width]. Zhang & Sennrich 2019.
ATTNLAB_API void norm_heads(TensorView<float, 3> rows, std::span<const float> weight, float eps);

/// Turns the columns of rows [tokens, heads, key_dim] that the shape names, at the chunk's positions; nothing where the
/// scheme does not rotate. For keys that a variant makes without appending them.
ATTNLAB_API void rotate_rows(const ChunkView& chunk, const Rotation* rotation, const KvShape& shape, RotateSide side,
                             TensorView<float, 3> rows);

/// Appends keys [tokens, kv_heads, key_dim] and values [tokens, kv_heads, value_dim] to the layer's cache. Rotates the
/// keys in place first where the cache stores rotated keys and the scheme rotates.
ATTNLAB_API void append_rows(const LayerContext& layer, TensorView<float, 3> keys, TensorView<const float, 3> values);

}  // namespace attnlab

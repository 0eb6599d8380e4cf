// What a variant needs beside the steps of its layer (steps.h): matrices that it makes itself, and parallel loops.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include <attnlab/api.h>
#include <attnlab/attention_variant.h>
#include <attnlab/module.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

/// How the rows of a packed matrix stand in the values that it is made of.
enum class PackedFrom : std::uint8_t { rows, columns };

/// A matrix that a variant makes itself, from values that it declared or a part of them.
class ATTNLAB_API PackedMatrix {
 public:
  /// values: [out_dim, in_dim]; with PackedFrom::columns [in_dim, out_dim], and the matrix is the transpose. Copied,
  /// and looked at again by `refresh`. A gradient of the matrix is one of these values.
  PackedMatrix(std::span<const float> values, std::int64_t out_dim, std::int64_t in_dim,
               PackedFrom from = PackedFrom::rows);
  ~PackedMatrix();
  PackedMatrix(PackedMatrix&&) noexcept;
  operator const Matrix&() const noexcept { return *matrix_; }  // NOLINT: it is one
  /// After the values have changed; see Module::refresh.
  void refresh();

 private:
  std::unique_ptr<Matrix> matrix_;
};

/// Calls task(index) for every index below count, in parallel, in no particular order. Tasks must not start tasks.
ATTNLAB_API void for_each_index(int count, const std::function<void(int)>& task);

/// multiply_adds: what all tasks take together, roughly; an exponential counts as 16. Where it is less than some ten
/// thousand, a second thread would cost more than it does, and the tasks run on the calling one.
ATTNLAB_API void for_each_index(int count, double multiply_adds, const std::function<void(int)>& task);

/// x = exp(x) for x <= 88, vectorised, on the calling thread.
ATTNLAB_API void exponentials(std::span<float> x);

/// The sum of a[i] * b[i], vectorised, on the calling thread.
[[nodiscard]] ATTNLAB_API float dot_product(const float* a, const float* b, std::int64_t count);

/// [tokens, heads, width] seen as [tokens, heads * width].
[[nodiscard]] inline TensorView<float, 2> flat(TensorView<float, 3> rows) {
  return {rows.data(), {rows.extent(0), rows.extent(1) * rows.extent(2)}};
}

}  // namespace attnlab

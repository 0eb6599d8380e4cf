#include "ops/packed_matrix.h"

#include <vector>

#include <attnlab/ops.h>

#include "ops/matrix.h"

namespace attnlab {
namespace {

thread_local std::int64_t live_bytes = 0;

}  // namespace

std::int64_t live_packed_bytes() noexcept {
  return live_bytes;
}

PackedMatrix::PackedMatrix(std::span<const float> values, std::int64_t out_dim, std::int64_t in_dim, PackedFrom from)
    : matrix_(std::make_unique<Matrix>(out_dim, in_dim, ElementType::f32)) {
  ATTNLAB_CHECK(static_cast<std::int64_t>(values.size()) == out_dim * in_dim,
                "values of another number than the matrix");
  matrix_->set_origin({values, from == PackedFrom::columns});
  refresh();
  live_bytes += static_cast<std::int64_t>(matrix_->bytes());
}
void PackedMatrix::refresh() {
  const auto& [values, is_transposed] = matrix_->origin();
  if (!is_transposed) return matrix_->pack(0, values);
  std::vector<float> row(static_cast<std::size_t>(matrix_->in_dim()));
  for (std::int64_t output = 0; output < matrix_->out_dim(); ++output) {
    for (std::int64_t i = 0; i < matrix_->in_dim(); ++i) row[i] = values[i * matrix_->out_dim() + output];
    matrix_->pack(output, std::span<const float>(row));
  }
}
PackedMatrix::~PackedMatrix() {
  if (matrix_ != nullptr) live_bytes -= static_cast<std::int64_t>(matrix_->bytes());
}
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;

}  // namespace attnlab

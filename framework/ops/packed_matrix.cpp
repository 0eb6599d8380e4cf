#include "ops/packed_matrix.h"

#include <attnlab/ops.h>

#include "ops/matrix.h"

namespace attnlab {
namespace {

thread_local std::int64_t live_bytes = 0;

}  // namespace

std::int64_t live_packed_bytes() noexcept {
  return live_bytes;
}

PackedMatrix::PackedMatrix(std::span<const float> rows, std::int64_t out_dim, std::int64_t in_dim)
    : matrix_(std::make_unique<Matrix>(out_dim, in_dim, ElementType::f32)) {
  ATTNLAB_CHECK(static_cast<std::int64_t>(rows.size()) == out_dim * in_dim, "values of another number than the matrix");
  matrix_->pack(0, rows);
  live_bytes += static_cast<std::int64_t>(matrix_->bytes());
}
PackedMatrix::~PackedMatrix() {
  if (matrix_ != nullptr) live_bytes -= static_cast<std::int64_t>(matrix_->bytes());
}
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;

}  // namespace attnlab

// The steps that attention variants share, as ops.h of the SDK declares them.
#include <attnlab/ops.h>

#include "ops/matrix.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

constexpr int kRowsOfTask = 32;

int row_tasks(std::int64_t rows) {
  return static_cast<int>((rows + kRowsOfTask - 1) / kRowsOfTask);
}

}  // namespace

void norm_heads(TensorView<float, 3> rows, std::span<const float> weight, float eps) {
  ATTNLAB_CHECK(static_cast<std::int64_t>(weight.size()) == rows.extent(2), "a norm of another width than the heads");
  parallel_for(row_tasks(rows.extent(0)), [&](int index, WorkerSlot) {
    const std::int64_t first = static_cast<std::int64_t>(index) * kRowsOfTask;
    const std::int64_t end = std::min(first + kRowsOfTask, rows.extent(0));
    for (std::int64_t row = first; row < end; ++row)
      for (std::int64_t head = 0; head < rows.extent(1); ++head) {
        const std::span<float> x{&rows(row, head, 0), weight.size()};
        vec::rms_norm(x, weight, eps, x);
      }
  });
}

void rotate_rows(const ChunkView& chunk, const Rotation* rotation, const KvShape& shape, RotateSide side,
                 TensorView<float, 3> rows) {
  if (rotation == nullptr) return;
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
    const int first = chunk.first(sequence);
    const int tokens = chunk.tokens_of(sequence);
    parallel_for(row_tasks(tokens), [&](int index, WorkerSlot) {
      const int begin = index * kRowsOfTask;
      const int count = std::min(kRowsOfTask, tokens - begin);
      rotate_columns(*rotation, {chunk.positions.subspan(first + begin, count), chunk.lengths[sequence], side}, shape,
                     rows.slice(first + begin, count));
    });
  }
}

void append_rows(const LayerContext& layer, TensorView<float, 3> keys, TensorView<const float, 3> values) {
  if (layer.cache.key_form() == KeyForm::rotated)
    rotate_rows(layer.chunk, layer.position.rotation(), layer.cache.shape(), RotateSide::key, keys);
  layer.cache.append(layer.chunk, keys, values);
}

PackedMatrix::PackedMatrix(std::span<const float> rows, std::int64_t out_dim, std::int64_t in_dim)
    : matrix_(std::make_unique<Matrix>(out_dim, in_dim, ElementType::f32)) {
  ATTNLAB_CHECK(static_cast<std::int64_t>(rows.size()) == out_dim * in_dim, "values of another number than the matrix");
  matrix_->pack(0, rows);
}
PackedMatrix::~PackedMatrix() = default;
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;

void for_each_index(int count, const std::function<void(int)>& task) {
  parallel_for(count, [&](int index, WorkerSlot) { task(index); });
}

}  // namespace attnlab

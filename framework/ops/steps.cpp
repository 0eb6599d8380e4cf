// The steps that attention variants share, as ops.h of the SDK declares them.
#include <attnlab/ops.h>

#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

constexpr int kRowsOfTask = 32;

int row_tasks(std::int64_t rows) { return static_cast<int>((rows + kRowsOfTask - 1) / kRowsOfTask); }

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

void append_rows(const LayerContext& layer, TensorView<float, 3> keys, TensorView<const float, 3> values) {
  const ChunkView& chunk = layer.chunk;
  const Rotation* rotation = layer.position.rotation();
  if (rotation != nullptr && layer.cache.key_form() == KeyForm::rotated) {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const int first = chunk.first(sequence);
      const int tokens = chunk.tokens_of(sequence);
      parallel_for(row_tasks(tokens), [&](int index, WorkerSlot) {
        const int begin = index * kRowsOfTask;
        const int count = std::min(kRowsOfTask, tokens - begin);
        rotation->rotate({chunk.positions.subspan(first + begin, count), chunk.lengths[sequence], RotateSide::key},
                         keys.slice(first + begin, count));
      });
    }
  }
  layer.cache.append(chunk, keys, values);
}

}  // namespace attnlab

#include "ops/row_backward.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/row_steps.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

constexpr std::int64_t kRowsOfTask = 32;

// Calls task(row, sums) for every row; sums [width] are those of the row's block. Then they are added to `total`.
// Forward and back.
template <class T, int Rank>
Work work_of(const TensorView<T, Rank>& rows) {
  return Work::numbers(2 * static_cast<double>(rows.elements()));
}

template <class T, int Rank, class Task>
void sum_over_rows(const TensorView<T, Rank>& of, std::span<float> total, const Task& task) {
  const std::int64_t rows = of.extent(0);
  const std::int64_t blocks = (rows + kRowsOfTask - 1) / kRowsOfTask;
  std::vector<float> sums(static_cast<std::size_t>(blocks) * total.size());
  parallel_for(static_cast<int>(blocks), work_of(of), [&](int block, WorkerSlot) {
    const std::span<float> of_block = std::span(sums).subspan(block * total.size(), total.size());
    const std::int64_t first = block * kRowsOfTask;
    for (std::int64_t row = first; row < std::min(first + kRowsOfTask, rows); ++row) task(row, of_block);
  });
  for (std::int64_t block = 0; block < blocks; ++block)
    vec::add(total, std::span(sums).subspan(block * total.size(), total.size()));
}

template <class T, int Rank, class Task>
void for_each_row(const TensorView<T, Rank>& of, const Task& task) {
  const std::int64_t rows = of.extent(0);
  parallel_for(static_cast<int>((rows + kRowsOfTask - 1) / kRowsOfTask), work_of(of), [&](int block, WorkerSlot) {
    const std::int64_t first = block * kRowsOfTask;
    for (std::int64_t row = first; row < std::min(first + kRowsOfTask, rows); ++row) task(row);
  });
}

template <class T>
std::span<T> row_of(const TensorView<T, 3>& rows, std::int64_t token, std::int64_t head) {
  return {&rows(token, head, 0), static_cast<std::size_t>(rows.extent(2))};
}

float sigmoid(float x) {
  return 1.0F / (1.0F + std::exp(-x));
}

}  // namespace

void norm_rows_backward(TensorView<const float, 3> x, std::span<const float> weight, float eps,
                        TensorView<const float, 3> of_out, TensorView<float, 3> of_x, std::span<float> of_weight) {
  const bool replaces = of_x.data() == of_out.data();
  sum_over_rows(x, of_weight, [&](std::int64_t token, std::span<float> sums) {
    thread_local std::vector<float> found;
    for (std::int64_t head = 0; head < x.extent(1); ++head) {
      std::span<const float> of = row_of(of_out, token, head);
      const std::span<float> to = row_of(of_x, token, head);
      if (replaces) {
        found.assign(of.begin(), of.end());
        of = found;
        std::ranges::fill(to, 0.0F);
      }
      vec::rms_norm_backward(row_of(x, token, head), weight, eps, of, to, sums);
    }
  });
}

void layer_norm_rows_backward(TensorView<const float, 2> x, std::span<const float> weight, float eps,
                              TensorView<const float, 2> of_out, TensorView<float, 2> of_x, std::span<float> of_weight,
                              std::span<float> of_bias) {
  const std::size_t width = weight.size();
  std::vector<float> total(2 * width);  // of the weight, then of the bias
  sum_over_rows(x, total, [&](std::int64_t row, std::span<float> sums) {
    vec::layer_norm_backward(x.row(row), weight, eps, of_out.row(row), of_x.row(row), sums.first(width),
                             sums.last(width));
  });
  vec::add(of_weight, std::span(total).first(width));
  vec::add(of_bias, std::span(total).last(width));
}

void rotate_rows_back(const ChunkView& chunk, const Rotation* rotation, const KvShape& shape, RotateSide side,
                      TensorView<float, 3> gradients) {
  if (rotation == nullptr) return;
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
    const int first = chunk.first(sequence);
    const int tokens = chunk.tokens_of(sequence);
    constexpr int rows = kRowsOfTask;
    parallel_for((tokens + rows - 1) / rows, work_of(gradients.slice(first, tokens)), [&](int index, WorkerSlot) {
      const int begin = index * rows;
      const int count = std::min(rows, tokens - begin);
      rotate_columns_back(*rotation, {chunk.positions.subspan(first + begin, count), chunk.lengths[sequence], side},
                          shape, gradients.slice(first + begin, count));
    });
  }
}

void gate_rows_backward(TensorView<const float, 2> gates, TensorView<const float, 3> before, TensorView<float, 3> of,
                        TensorView<float, 2> of_gates) {
  const bool by_head = gates.extent(1) == before.extent(1);
  const std::int64_t width = before.extent(2);
  for_each_row(before, [&](std::int64_t token) {
    for (std::int64_t head = 0; head < before.extent(1); ++head)
      for (std::int64_t i = 0; i < width; ++i) {
        const std::int64_t at = by_head ? head : head * width + i;
        const float open = sigmoid(gates(token, at));
        of_gates(token, at) += of(token, head, i) * before(token, head, i) * open * (1 - open);
        of(token, head, i) *= open;
      }
  });
}

void activate_multiply_rows_backward(Activation activation, TensorView<const float, 2> gates,
                                     TensorView<const float, 2> before, TensorView<float, 2> of,
                                     TensorView<float, 2> of_gates) {
  for_each_row(before, [&](std::int64_t row) {
    vec::activate_multiply_backward(activation, gates.row(row), before.row(row), of.row(row), of_gates.row(row));
  });
}

void activate_rows_backward(Activation activation, TensorView<const float, 2> before, TensorView<float, 2> of) {
  for_each_row(before, [&](std::int64_t row) { vec::activate_backward(activation, before.row(row), of.row(row)); });
}

void silu_rows_backward(TensorView<const float, 3> before, TensorView<float, 3> of) {
  for_each_row(before, [&](std::int64_t token) {
    for (std::int64_t head = 0; head < before.extent(1); ++head)
      for (std::int64_t i = 0; i < before.extent(2); ++i) {
        const float x = before(token, head, i), open = sigmoid(x);
        of(token, head, i) *= open * (1 + x * (1 - open));
      }
  });
}

void convolve_rows_backward(const ChunkView& chunk, std::span<const float> weight, TensorView<const float, 3> before,
                            TensorView<float, 3> of, std::span<float> of_weight) {
  const std::int64_t heads = before.extent(1), width = before.extent(2), channels = heads * width;
  const std::int64_t taps = static_cast<std::int64_t>(weight.size()) / channels;
  // A head's channels belong to one task, over all sequences in order.
  parallel_for(static_cast<int>(heads), work_of(of), [&](int head, WorkerSlot) {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const std::int64_t first = chunk.first(sequence), end = first + chunk.tokens_of(sequence);
      for (std::int64_t token = first; token < end; ++token)
        for (std::int64_t i = 0; i < width; ++i) {
          // The gradient of an input comes from its own token and those after it, which have not been replaced yet.
          const float* taps_of = weight.data() + (head * width + i) * taps;
          float* of_taps = of_weight.data() + (head * width + i) * taps;
          float sum = 0;
          for (std::int64_t tap = 0; tap < taps && token + tap < end; ++tap) {
            const float of_later = of(token + tap, head, i);
            sum += of_later * taps_of[taps - 1 - tap];
            of_taps[taps - 1 - tap] += of_later * before(token, head, i);
          }
          of(token, head, i) = sum;
        }
    }
  });
}

void blend_rows_backward(TensorView<const float, 3> from, std::span<const float> factors,
                         TensorView<const float, 3> before, TensorView<float, 3> of_to, TensorView<float, 3> of_from,
                         std::span<float> of_factors) {
  sum_over_rows(from, of_factors, [&](std::int64_t token, std::span<float> sums) {
    for (std::int64_t head = 0; head < from.extent(1); ++head)
      for (std::int64_t i = 0; i < from.extent(2); ++i) {
        float& of = of_to(token, head, i);
        sums[0] += of * from(token, head, i);
        sums[1] += of * before(token, head, i);
        of_from(token, head, i) += factors[0] * of;
        of *= factors[1];
      }
  });
}

void merge_rows_backward(const AttendedPart& part, TensorView<const float, 3> out, TensorView<const float, 2> log_sum,
                         TensorView<const float, 3> of_out, TensorView<const float, 2> of_log_sum,
                         TensorView<float, 3> of_part, TensorView<float, 2> of_part_log_sum) {
  for_each_row(out, [&](std::int64_t token) {
    for (std::int64_t head = 0; head < out.extent(1); ++head) {
      if (part.log_sum(token, head) == -std::numeric_limits<float>::infinity()) continue;
      const float share = std::exp(part.log_sum(token, head) - log_sum(token, head));
      float pull = of_log_sum.data() == nullptr ? 0 : of_log_sum(token, head);
      for (std::int64_t i = 0; i < out.extent(2); ++i) {
        pull += of_out(token, head, i) * (part.out(token, head, i) - out(token, head, i));
        of_part(token, head, i) += share * of_out(token, head, i);
      }
      of_part_log_sum(token, head) += share * pull;
    }
  });
}

void add_column_sums(TensorView<const float, 2> rows, std::span<float> to) {
  sum_over_rows(rows, to, [&](std::int64_t row, std::span<float> sums) { vec::add(sums, rows.row(row)); });
}

}  // namespace attnlab

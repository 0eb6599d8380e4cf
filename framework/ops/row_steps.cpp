#include "ops/row_steps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <attnlab/ops.h>

#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

constexpr int kRowsOfTask = 32;

template <class T, int Rank>
Work work_of(const TensorView<T, Rank>& rows) {
  return Work::numbers(static_cast<double>(rows.elements()));
}

int row_tasks(std::int64_t rows) {
  return static_cast<int>((rows + kRowsOfTask - 1) / kRowsOfTask);
}

// Calls task(row) for every row, in parallel by ranges of a fixed size.
template <class T, int Rank, class Task>
void for_each_row(const TensorView<T, Rank>& rows, const Task& task) {
  parallel_for(row_tasks(rows.extent(0)), work_of(rows), [&](int index, WorkerSlot) {
    const std::int64_t first = static_cast<std::int64_t>(index) * kRowsOfTask;
    const std::int64_t end = std::min(first + kRowsOfTask, rows.extent(0));
    for (std::int64_t row = first; row < end; ++row) task(row);
  });
}

}  // namespace

void norm_rows(TensorView<const float, 3> from, std::span<const float> weight, float eps, TensorView<float, 3> to) {
  ATTNLAB_CHECK(static_cast<std::int64_t>(weight.size()) == from.extent(2), "a norm of another width than the heads");
  for_each_row(from, [&](std::int64_t row) {
    for (std::int64_t head = 0; head < from.extent(1); ++head)
      vec::rms_norm({&from(row, head, 0), weight.size()}, weight, eps, {&to(row, head, 0), weight.size()});
  });
}

void add_norm_rows(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) {
  const std::int64_t width = x.extent(1);
  const auto covers = [&](std::span<const float> numbers) {
    return static_cast<std::int64_t>(numbers.size()) == width;
  };
  ATTNLAB_CHECK(norm.kind == NormKind::none || covers(norm.weight), "a norm of another width than the rows");
  ATTNLAB_CHECK(norm.kind != NormKind::layer || covers(norm.bias), "a norm of another width than the rows");
  for_each_row(x, [&](std::int64_t row) {
    if (delta != nullptr) vec::add(x.row(row), {delta + row * width, static_cast<std::size_t>(width)});
    if (norm.kind == NormKind::none)
      std::ranges::copy(x.row(row), out.row(row).begin());
    else if (norm.kind == NormKind::layer)
      vec::layer_norm(x.row(row), norm.weight, norm.bias, norm.eps, out.row(row));
    else
      vec::rms_norm(x.row(row), norm.weight, norm.eps, out.row(row));
  });
}

void rotate_rows(const ChunkView& chunk, const Rotation* rotation, const KvShape& shape, RotateSide side,
                 TensorView<float, 3> rows) {
  if (rotation == nullptr) return;
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
    const int first = chunk.first(sequence);
    const int tokens = chunk.tokens_of(sequence);
    parallel_for(row_tasks(tokens), work_of(rows.slice(first, tokens)), [&](int index, WorkerSlot) {
      const int begin = index * kRowsOfTask;
      const int count = std::min(kRowsOfTask, tokens - begin);
      rotate_columns(*rotation, {chunk.positions.subspan(first + begin, count), chunk.lengths[sequence], side}, shape,
                     rows.slice(first + begin, count));
    });
  }
}

void gate_rows(TensorView<const float, 2> gates, TensorView<float, 3> rows) {
  const bool by_head = gates.extent(1) == rows.extent(1);
  ATTNLAB_CHECK(by_head || gates.extent(1) == rows.extent(1) * rows.extent(2), "gates of another width than the rows");
  const std::int64_t heads = rows.extent(1);
  const std::int64_t width = rows.extent(2);
  parallel_for(static_cast<int>(rows.extent(0)), work_of(rows), [&](int token, WorkerSlot) {
    for (std::int64_t head = 0; head < heads; ++head)
      for (std::int64_t i = 0; i < width; ++i)
        rows(token, head, i) /= 1.0F + std::exp(-gates(token, by_head ? head : head * width + i));
  });
}

void activate_multiply_rows(Activation activation, TensorView<const float, 2> gates, TensorView<float, 2> rows) {
  for_each_row(rows,
               [&](std::int64_t row) { vec::activate_multiply(activation, rows.row(row), gates.row(row).data()); });
}

void activate_rows(Activation activation, TensorView<float, 2> rows) {
  for_each_row(rows, [&](std::int64_t row) { vec::activate(activation, rows.row(row)); });
}

void silu_rows(TensorView<float, 3> rows) {
  for_each_row(rows, [&](std::int64_t token) {
    for (std::int64_t head = 0; head < rows.extent(1); ++head)
      for (std::int64_t i = 0; i < rows.extent(2); ++i) rows(token, head, i) /= 1.0F + std::exp(-rows(token, head, i));
  });
}

namespace {

// One head of one sequence; rows [tokens, heads, width] of the sequence, held [taps - 1, heads * width].
void convolve_head(std::span<const float> weight, float* held, TensorView<float, 3> rows, std::int64_t head) {
  const std::int64_t tokens = rows.extent(0);
  const std::int64_t width = rows.extent(2);
  const std::int64_t channels = rows.extent(1) * width;
  const std::int64_t taps = static_cast<std::int64_t>(weight.size()) / channels;
  const std::int64_t before = taps - 1;
  thread_local std::vector<float> inputs;  // [before + tokens, width]
  inputs.resize(static_cast<std::size_t>((before + tokens) * width));
  for (std::int64_t tap = 0; tap < before; ++tap)
    std::copy_n(held + tap * channels + head * width, width, inputs.begin() + tap * width);
  for (std::int64_t token = 0; token < tokens; ++token)
    std::copy_n(&rows(token, head, 0), width, inputs.begin() + (before + token) * width);
  for (std::int64_t token = 0; token < tokens; ++token)
    for (std::int64_t i = 0; i < width; ++i) {
      const float* of_channel = weight.data() + (head * width + i) * taps;
      float sum = 0;
      for (std::int64_t tap = 0; tap < taps; ++tap) sum += of_channel[tap] * inputs[(token + tap) * width + i];
      rows(token, head, i) = sum;
    }
  for (std::int64_t tap = 0; tap < before; ++tap)
    std::copy_n(inputs.begin() + (tokens + tap) * width, width, held + tap * channels + head * width);
}

}  // namespace

void convolve_rows(const ChunkView& chunk, std::span<const float> weight, TensorView<float, 2> state,
                   TensorView<float, 3> rows) {
  const std::int64_t heads = rows.extent(1);
  const std::int64_t channels = heads * rows.extent(2);
  ATTNLAB_CHECK(!weight.empty() && static_cast<std::int64_t>(weight.size()) % channels == 0,
                "a convolution of another number of channels");
  ATTNLAB_CHECK(state.extent(1) == static_cast<std::int64_t>(weight.size()) - channels,
                "a convolution needs [taps - 1, channels] of state for each sequence");
  parallel_for(static_cast<int>(chunk.sequences() * heads), work_of(rows), [&](int index, WorkerSlot) {
    const auto sequence = static_cast<int>(index / heads);
    const int tokens = chunk.tokens_of(sequence);
    if (tokens > 0)
      convolve_head(weight, &state(sequence, 0), rows.slice(chunk.first(sequence), tokens), index % heads);
  });
}

void copy_rows(TensorView<const float, 3> from, TensorView<float, 3> to) {
  for_each_row(from, [&](std::int64_t token) {
    for (std::int64_t head = 0; head < from.extent(1); ++head)
      std::copy_n(&from(token, head, 0), from.extent(2), &to(token, head, 0));
  });
}

void blend_rows(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) {
  ATTNLAB_CHECK(factors.size() == 2, "a blend of two has two factors");
  for (int axis = 0; axis < 3; ++axis)
    ATTNLAB_CHECK(from.extent(axis) == to.extent(axis), "a blend of rows of different shapes");
  for_each_row(from, [&](std::int64_t token) {
    for (std::int64_t head = 0; head < from.extent(1); ++head)
      for (std::int64_t i = 0; i < from.extent(2); ++i)
        to(token, head, i) = factors[0] * from(token, head, i) + factors[1] * to(token, head, i);
  });
}

void merge_rows(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  for (const AttendedPart& part : parts) {
    for (int axis = 0; axis < 3; ++axis)
      ATTNLAB_CHECK(part.out.extent(axis) == out.extent(axis), "a merge of rows of different shapes");
    ATTNLAB_CHECK(part.log_sum.extent(0) == out.extent(0) && part.log_sum.extent(1) == out.extent(1),
                  "a merge needs the log_sum of each part, [tokens, heads]");
  }
  for_each_row(out, [&](std::int64_t token) {
    for (std::int64_t head = 0; head < out.extent(1); ++head) {
      float largest = lowest;
      for (const AttendedPart& part : parts) largest = std::max(largest, part.log_sum(token, head));
      float sum = 0;
      for (const AttendedPart& part : parts)
        sum += largest == lowest ? 0 : std::exp(part.log_sum(token, head) - largest);
      for (std::int64_t i = 0; i < out.extent(2); ++i) {
        float value = 0;
        for (const AttendedPart& part : parts)
          if (part.log_sum(token, head) != lowest)
            value += std::exp(part.log_sum(token, head) - largest) / sum * part.out(token, head, i);
        out(token, head, i) = value;
      }
      if (log_sum.data() != nullptr) log_sum(token, head) = sum == 0 ? lowest : largest + std::log(sum);
    }
  });
}

void for_each_index(int count, const std::function<void(int)>& task) {
  for_each_index(count, std::numeric_limits<double>::infinity(), task);
}

void for_each_index(int count, double multiply_adds, const std::function<void(int)>& task) {
  parallel_for(count, Work::multiply_adds(multiply_adds), [&](int index, WorkerSlot) { task(index); });
}

}  // namespace attnlab

#include "ops/dense_product.h"

#include <algorithm>
#include <vector>

#include "base/at_least.h"
#include "ops/onednn_product.h"
#include "ops/rounded_rows.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

// A task has at most this many rows and columns. oneDNN packs both sides anew in every task, so larger tasks are
// faster: measured on a Zen 4 at a depth of 1024, 256 x 256 reached 82 % of the FMA peak and 512 x 512 90 %.
constexpr std::int64_t kMostRows = 512;
constexpr std::int64_t kFewestRows = 128;
constexpr std::int64_t kMostColumns = 512;
// With fewer tasks than this, rows and depth are cut finer. It must not depend on the number of threads.
constexpr std::int64_t kEnoughTasks = 16;
constexpr std::int64_t kFewestDepth = 512;
// Floats of the slices of one product together; 16 MiB.
constexpr std::int64_t kMostSliceFloats = std::int64_t{4} << 20;
constexpr std::int64_t kTaskRows = 64;  // of a task that copies, or adds up slices
// Rows that begin whole pages apart fall into the same few sets of a cache. Where the right side is such a matrix and
// many rows use it, a copy with wider rows is made first: on a Zen 4, 4096 x 1024 at a depth of 384 went from 80 to 93
// % of the FMA peak.
constexpr std::int64_t kPageFloats = 1024;
constexpr std::int64_t kRowsWorthACopy = 1024;
constexpr std::int64_t kMoreStride = 16;

std::int64_t parts(std::int64_t whole, std::int64_t part) {
  return (whole + part - 1) / part;
}

// Equal tasks of whole vectors, none larger than `most`.
std::int64_t equal_part(std::int64_t whole, std::int64_t most) {
  const std::int64_t part = parts(whole, parts(whole, most));
  return std::min(whole, parts(part, 16) * 16);
}

// How a product is split. Slices of the depth are products of their own, added up in order afterwards: the weight
// gradient of a narrow layer has a small output and a depth of all tokens.
struct Split {
  std::int64_t rows, columns, depth;  // of a task
  std::int64_t row_parts, column_parts, slices;

  [[nodiscard]] std::int64_t tasks() const { return row_parts * column_parts * slices; }
};

Split split_of(const DenseProduct& p, std::int64_t most_rows) {
  Split split{};
  split.rows = equal_part(p.rows, most_rows);
  split.columns = equal_part(p.columns, kMostColumns);
  split.row_parts = parts(p.rows, split.rows);
  split.column_parts = parts(p.columns, split.columns);
  const std::int64_t wanted = parts(kEnoughTasks, split.row_parts * split.column_parts);
  const std::int64_t possible = std::min(p.depth / kFewestDepth, kMostSliceFloats / (p.rows * p.columns));
  split.depth = equal_part(p.depth, parts(p.depth, std::clamp<std::int64_t>(possible, 1, wanted)));
  split.slices = parts(p.depth, split.depth);
  return split;
}

Split split_of(const DenseProduct& p) {
  Split split = split_of(p, kMostRows);
  for (std::int64_t rows = kMostRows / 2; rows >= kFewestRows && split.tasks() < kEnoughTasks; rows /= 2)
    split = split_of(p, rows);
  return split;
}

// Where the part of a task begins.
struct Place {
  std::int64_t row, column, depth;
};

// The part of `p` that one task computes.
DenseProduct part_of(const DenseProduct& p, const Split& split, const Place& at) {
  DenseProduct part = p;
  part.a += p.a_transposed ? at.depth * p.a_stride + at.row : at.row * p.a_stride + at.depth;
  part.b += p.b_transposed ? at.column * p.b_stride + at.depth : at.depth * p.b_stride + at.column;
  part.out += at.row * p.out_stride + at.column;
  part.rows = std::min(split.rows, p.rows - at.row);
  part.columns = std::min(split.columns, p.columns - at.column);
  part.depth = std::min(split.depth, p.depth - at.depth);
  return part;
}

// b [depth, columns], not transposed, with wider rows.
void copy_right_side(DenseProduct& p, std::vector<float>& room) {
  const std::int64_t stride = p.columns + kMoreStride;
  float* to = at_least(room, p.depth * stride);
  const Work work = Work::numbers(static_cast<double>(p.depth * p.columns));
  parallel_for(static_cast<int>(parts(p.depth, kTaskRows)), work, [&](int block, WorkerSlot) {
    const std::int64_t end = std::min(p.depth, (block + 1) * kTaskRows);
    for (std::int64_t row = block * kTaskRows; row < end; ++row)
      std::copy_n(p.b + row * p.b_stride, p.columns, to + row * stride);
  });
  p.b = to;
  p.b_stride = stride;
}

// slices [count][rows, columns] -> out: (out +) slice 0 + slice 1 + ...
void add_slices(const DenseProduct& p, const float* slices, std::int64_t count) {
  const Work work = Work::numbers(static_cast<double>(count * p.rows * p.columns));
  parallel_for(static_cast<int>(parts(p.rows, kTaskRows)), work, [&](int block, WorkerSlot) {
    const std::int64_t end = std::min(p.rows, (block + 1) * kTaskRows);
    for (std::int64_t row = block * kTaskRows; row < end; ++row) {
      float* out = p.out + row * p.out_stride;
      const float* from = slices + row * p.columns;
      for (std::int64_t slice = 0; slice < count; ++slice, from += p.rows * p.columns) {
        if (slice == 0 && !p.accumulate)
          std::copy_n(from, p.columns, out);
        else
          for (std::int64_t i = 0; i < p.columns; ++i) out[i] += from[i];
      }
    }
  });
}

// Rows of `columns` floats, rounded to bf16 side by side.
std::uint16_t* rounded(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                       std::vector<std::uint16_t>& room) {
  std::uint16_t* const to = at_least(room, rows * columns);
  for (std::int64_t row = 0; row < rows; ++row)
    vec::narrow_to_bf16({from + row * stride, static_cast<std::size_t>(columns)}, to + row * columns);
  return to;
}

// A side of a product as bf16, as it is stored: transposed or not.
struct Bf16Side {
  const std::uint16_t* values = nullptr;
  std::int64_t stride = 0;
};

// Both sides, rounded once for all tasks; where a side has no values, a task rounds its part.
struct Bf16Sides {
  Bf16Side a, b;
};

Bf16Sides rounded_sides(const DenseProduct& p) {
  thread_local std::vector<std::uint16_t> room_of_a, room_of_b;
  const auto side = [](const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns, auto& room) {
    return Bf16Side{rounded_rows(from, stride, rows, columns, room), columns};
  };
  return {p.a_transposed ? side(p.a, p.a_stride, p.depth, p.rows, room_of_a)
                         : side(p.a, p.a_stride, p.rows, p.depth, room_of_a),
          p.b_transposed ? side(p.b, p.b_stride, p.columns, p.depth, room_of_b)
                         : side(p.b, p.b_stride, p.depth, p.columns, room_of_b)};
}

// `p` is a part of the product: of rounded sides that which begins at `place`.
void bf16_product(const DenseProduct& p, const Bf16Sides& sides, const Place& place) {
  thread_local std::vector<std::uint16_t> room_of_a, room_of_b;
  Bf16Side a = sides.a, b = sides.b;
  if (a.values != nullptr)
    a.values += p.a_transposed ? place.depth * a.stride + place.row : place.row * a.stride + place.depth;
  else
    a = p.a_transposed ? Bf16Side{rounded(p.a, p.a_stride, p.depth, p.rows, room_of_a), p.rows}
                       : Bf16Side{rounded(p.a, p.a_stride, p.rows, p.depth, room_of_a), p.depth};
  if (b.values != nullptr)
    b.values += p.b_transposed ? place.column * b.stride + place.depth : place.depth * b.stride + place.column;
  else
    b = p.b_transposed ? Bf16Side{rounded(p.b, p.b_stride, p.columns, p.depth, room_of_b), p.depth}
                       : Bf16Side{rounded(p.b, p.b_stride, p.depth, p.columns, room_of_b), p.columns};
  onednn_bf16_product({.a = a.values,
                       .a_row = p.a_transposed ? 1 : a.stride,
                       .a_column = p.a_transposed ? a.stride : 1,
                       .b = b.values,
                       .b_row = p.b_transposed ? 1 : b.stride,
                       .b_column = p.b_transposed ? b.stride : 1,
                       .out = p.out,
                       .out_stride = p.out_stride,
                       .rows = p.rows,
                       .columns = p.columns,
                       .depth = p.depth,
                       .accumulate = p.accumulate,
                       .is_kept = false});
}

void check(const DenseProduct& p) {
  ATTNLAB_CHECK(p.rows >= 0 && p.columns >= 0 && p.depth >= 0, "a product of negative size");
  ATTNLAB_CHECK(p.a_stride >= (p.a_transposed ? p.rows : p.depth), "rows of the left side overlap");
  ATTNLAB_CHECK(p.b_stride >= (p.b_transposed ? p.depth : p.columns), "rows of the right side overlap");
  ATTNLAB_CHECK(p.out_stride >= p.columns, "rows of the output overlap");
}

}  // namespace

void dense_product(const DenseProduct& p) {
  check(p);
  if (p.rows == 0 || p.columns == 0) return;
  if (p.depth == 0) {
    for (std::int64_t row = 0; row < p.rows && !p.accumulate; ++row)
      std::fill_n(p.out + row * p.out_stride, p.columns, 0.0F);
    return;
  }
  const Split split = split_of(p);
  thread_local std::vector<float> right_side, slices;
  DenseProduct to = p;
  const bool is_bf16 = p.arithmetic == Arithmetic::bf16;
  if (!is_bf16 && !p.b_transposed && p.b_stride % kPageFloats == 0 && p.rows >= kRowsWorthACopy)
    copy_right_side(to, right_side);
  if (split.slices > 1) {
    to.out = at_least(slices, split.slices * p.rows * p.columns);
    to.out_stride = p.columns;
    to.accumulate = false;
  }
  const Bf16Sides sides = is_bf16 ? rounded_sides(p) : Bf16Sides{};
  float* const first_slice = to.out;
  const Work work = Work::multiply_adds(static_cast<double>(p.rows * p.columns * p.depth));
  parallel_for(static_cast<int>(split.tasks()), work, [&](int index, WorkerSlot) {
    const std::int64_t column_part = index % split.column_parts;
    const std::int64_t row_part = index / split.column_parts % split.row_parts;
    const std::int64_t slice = index / (split.column_parts * split.row_parts);
    const Place place{row_part * split.rows, column_part * split.columns, slice * split.depth};
    DenseProduct part = part_of(to, split, place);
    if (split.slices > 1) part.out += slice * p.rows * p.columns;
    if (is_bf16)
      bf16_product(part, sides, place);
    else
      onednn_dense_product(part);
  });
  if (split.slices > 1) add_slices(p, first_slice, split.slices);
}

}  // namespace attnlab

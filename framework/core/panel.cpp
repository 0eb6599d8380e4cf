#include "core/panel.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <attnlab/api.h>

#include "base/convert.h"
#include "core/code_kernels.h"

namespace attnlab {
namespace {

// Working memory for one vector on its way into a panel.
std::uint8_t* buffer(std::size_t bytes) {
  thread_local std::vector<std::uint8_t> memory;
  if (memory.size() < bytes) memory.resize(bytes);
  return memory.data();
}

// In place; from the low end of each byte.
void pack(std::uint8_t* codes, int count, int bits) {
  const int per_byte = 8 / bits;
  for (int first = 0; first < count; first += per_byte) {
    unsigned byte = 0;
    for (int i = 0; i < std::min(per_byte, count - first); ++i) byte |= unsigned{codes[first + i]} << (i * bits);
    codes[first / per_byte] = static_cast<std::uint8_t>(byte);
  }
}

template <int Bytes>
void scatter(const void* units, int count, std::byte* to, std::size_t stride) {
  const auto* from = static_cast<const std::byte*>(units);
  for (int i = 0; i < count; ++i) std::memcpy(to + i * stride, from + i * Bytes, Bytes);
}

template <int Bytes>
void copy_column(const std::byte* from, std::byte* to, int count, std::size_t stride) {
  for (int i = 0; i < count; ++i) std::memcpy(to + i * stride, from + i * stride, Bytes);
}

void copy_lines(const float* from, const LineBlock& block) {
  for (int line = 0; line < block.lines; ++line)
    std::copy_n(from + line * block.from_stride, block.count, block.to + line * block.to_stride);
}

}  // namespace

Panel::Panel(const Codec& codec, Order order, int rows, int width)
    : codec_(codec), order_(order), rows_(rows), width_(width), unit_bytes_(1), units_(width) {
  switch (codec.form) {
    case Codec::Form::f32:
      unit_bytes_ = 4;
      break;
    case Codec::Form::bf16:
      unit_bytes_ = 2;
      break;
    case Codec::Form::symmetric:
      parameters_ = 1;
      break;
    case Codec::Form::affine: {
      const bool fits =
          order == Order::by_row ? codec.bits == 2 || codec.bits == 4 : codec.bits == 4 && codec.group % 2 == 0;
      ATTNLAB_CHECK(fits && codec.group > 0, "codes have 2 or 4 bits and groups; by channel 4 bits and even groups");
      units_ = (width * codec.bits + 7) / 8;
      groups_ = (width + codec.group - 1) / codec.group;
      parameters_ = 2 * groups_;
      break;
    }
  }
  codes_at_ = static_cast<std::size_t>(rows) * parameters_ * sizeof(float);
  bytes_ = (codes_at_ + static_cast<std::size_t>(rows) * units_ * unit_bytes_ + 3) / 4 * 4;
}

void Panel::store(std::byte* panel, int row, const float* vector) const {
  auto* parameter = reinterpret_cast<float*>(panel) + row;  // steps of rows_
  switch (codec_.form) {
    case Codec::Form::f32:
      return place(panel, row, vector);
    case Codec::Form::bf16: {
      auto* rounded = reinterpret_cast<std::uint16_t*>(buffer(width_ * sizeof(std::uint16_t)));
      std::transform(vector, vector + width_, rounded, to_bf16);
      return place(panel, row, rounded);
    }
    case Codec::Form::symmetric: {
      std::uint8_t* codes = buffer(width_);
      *parameter = symmetric_scale(vector, width_);
      symmetric_codes(vector, width_, *parameter, reinterpret_cast<std::int8_t*>(codes));
      return place(panel, row, codes);
    }
    case Codec::Form::affine: {
      std::uint8_t* codes = buffer(width_);
      const int levels = (1 << codec_.bits) - 1;
      for (int group = 0; group < groups_; ++group) {
        const int first = group * codec_.group;
        const int count = std::min(codec_.group, width_ - first);
        const AffineRange range = affine_range(vector + first, count, levels);
        affine_codes(vector + first, count, range, levels, codes + first);
        parameter[static_cast<std::int64_t>(group) * rows_] = range.scale;
        parameter[static_cast<std::int64_t>(groups_ + group) * rows_] = range.minimum;
      }
      pack(codes, width_, codec_.bits);
      return place(panel, row, codes);
    }
  }
}

void Panel::place(std::byte* panel, int row, const void* units) const {
  std::byte* to = panel + codes_at_;
  const auto stride = static_cast<std::size_t>(rows_) * unit_bytes_;
  if (order_ == Order::by_row) {
    const auto bytes = static_cast<std::size_t>(units_) * unit_bytes_;
    std::memcpy(to + row * bytes, units, bytes);
    return;
  }
  to += row * unit_bytes_;
  switch (unit_bytes_) {
    case 1:
      return scatter<1>(units, units_, to, stride);
    case 2:
      return scatter<2>(units, units_, to, stride);
    default:
      return scatter<4>(units, units_, to, stride);
  }
}

void Panel::copy(const std::byte* from, int from_row, std::byte* to, int to_row) const {
  copy_column<4>(from + from_row * sizeof(float), to + to_row * sizeof(float), parameters_, rows_ * sizeof(float));
  from += codes_at_;
  to += codes_at_;
  if (order_ == Order::by_row) {
    const auto bytes = static_cast<std::size_t>(units_) * unit_bytes_;
    std::memcpy(to + to_row * bytes, from + from_row * bytes, bytes);
    return;
  }
  from += from_row * unit_bytes_;
  to += to_row * unit_bytes_;
  const auto stride = static_cast<std::size_t>(rows_) * unit_bytes_;
  switch (unit_bytes_) {
    case 1:
      return copy_column<1>(from, to, units_, stride);
    case 2:
      return copy_column<2>(from, to, units_, stride);
    default:
      return copy_column<4>(from, to, units_, stride);
  }
}

void Panel::load(const std::byte* panel, int first, int count, float* to, std::int64_t stride) const {
  const bool by_row = order_ == Order::by_row;
  const float* scales = parameters(panel) + first;
  const AffineParameters affine{scales, scales + static_cast<std::int64_t>(groups_) * rows_, rows_, codec_.group};
  const std::byte* from = codes(panel) + static_cast<std::int64_t>(first) * unit_bytes_ * (by_row ? units_ : 1);
  LineBlock block{by_row ? count : width_, by_row ? width_ : count, by_row ? units_ : rows_, to, stride};
  switch (codec_.form) {
    case Codec::Form::f32:
      return copy_lines(reinterpret_cast<const float*>(from), block);
    case Codec::Form::bf16:
      return expand_bf16(reinterpret_cast<const std::uint16_t*>(from), block);
    case Codec::Form::symmetric: {
      const auto* codes = reinterpret_cast<const std::int8_t*>(from);
      return by_row ? scale_lines(codes, scales, block) : scale_columns(codes, scales, block);
    }
    case Codec::Form::affine: {
      const auto* codes = reinterpret_cast<const std::uint8_t*>(from);
      return by_row ? affine_lines(codes, codec_.bits, 0, affine, block) : affine_columns(codes, affine, block);
    }
  }
}

void Panel::load_columns(const std::byte* panel, int first, int count, float* to, std::int64_t stride) const {
  ATTNLAB_DCHECK(codec_.form == Codec::Form::affine && order_ == Order::by_row, "columns of a panel without them");
  const float* scales = parameters(panel);
  affine_lines(reinterpret_cast<const std::uint8_t*>(codes(panel)), codec_.bits, first,
               {scales, scales + static_cast<std::int64_t>(groups_) * rows_, rows_, codec_.group},
               {rows_, count, units_, to, stride});
}

}  // namespace attnlab

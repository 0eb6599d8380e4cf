#include "rows/panel.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <attnlab/codes.h>

namespace attnlab {
namespace {

// Working memory for one vector on its way into a panel, aligned for units of 4 bytes.
std::byte* buffer(std::size_t bytes) {
  thread_local std::vector<float> memory;
  const std::size_t floats = (bytes + sizeof(float) - 1) / sizeof(float);
  if (memory.size() < floats) memory.resize(floats);
  return reinterpret_cast<std::byte*>(memory.data());
}

template <int Bytes>
void scatter(const std::byte* from, int count, std::byte* to, std::size_t stride) {
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

constexpr RowLayout plain_layout(int width) {
  return {.units = width, .unit_bytes = sizeof(float), .meaning = RowLayout::Units::floats};
}

}  // namespace

Panel Panel::plain(Order order, int rows, int width) {
  return {nullptr, plain_layout(width), order, rows, width};
}
Panel Panel::of_bytes(std::size_t bytes) {
  return {nullptr, {.units = static_cast<int>(bytes)}, Order::by_row, 1, static_cast<int>(bytes)};
}

Panel::Panel(const RowCodec& codec, Order order, int rows, int width)
    : Panel(&codec, codec.layout(), order, rows, width) {}

Panel::Panel(const RowCodec* codec, const RowLayout& layout, Order order, int rows, int width)
    : codec_(codec), layout_(layout), order_(order), rows_(rows), width_(width) {
  units_at_ = static_cast<std::size_t>(rows) * layout_.parameters * sizeof(float);
  bytes_ = (units_at_ + static_cast<std::size_t>(rows) * row_bytes() + 3) / 4 * 4;
}

bool Panel::can_be_by_channel(const RowCodec& codec) {
  const RowLayout::Units meaning = codec.layout().meaning;
  return (meaning != RowLayout::Units::own && meaning != RowLayout::Units::affine_int4) || codec.channels() != nullptr;
}

void Panel::store(std::byte* panel, int row, const float* vector) const {
  const bool by_row = order_ == Order::by_row;
  std::byte* const to = panel + units_at_;
  const auto* held = reinterpret_cast<const std::byte*>(vector);
  if (!is_f32()) {
    // Parameters first, so that units of 4 bytes are aligned too.
    std::byte* room = buffer(layout_.parameters * sizeof(float) + row_bytes());
    auto* parameters = reinterpret_cast<float*>(room);
    std::byte* units = by_row ? to + row * row_bytes() : room + layout_.parameters * sizeof(float);
    codec_->encode(vector, parameters, units);
    scatter<4>(room, layout_.parameters, panel + row * sizeof(float), rows_ * sizeof(float));
    if (by_row) return;
    held = units;
  }
  if (by_row) {
    std::memcpy(to + row * row_bytes(), held, row_bytes());
    return;
  }
  const auto stride = static_cast<std::size_t>(rows_) * layout_.unit_bytes;
  switch (layout_.unit_bytes) {
    case 1:
      return scatter<1>(held, layout_.units, to + row, stride);
    case 2:
      return scatter<2>(held, layout_.units, to + row * 2, stride);
    default:
      return scatter<4>(held, layout_.units, to + row * 4, stride);
  }
}

void Panel::copy(const std::byte* from, int from_row, std::byte* to, int to_row) const {
  copy_column<4>(from + from_row * sizeof(float), to + to_row * sizeof(float), layout_.parameters,
                 rows_ * sizeof(float));
  from += units_at_;
  to += units_at_;
  if (order_ == Order::by_row) {
    std::memcpy(to + to_row * row_bytes(), from + from_row * row_bytes(), row_bytes());
    return;
  }
  from += from_row * layout_.unit_bytes;
  to += to_row * layout_.unit_bytes;
  const auto stride = static_cast<std::size_t>(rows_) * layout_.unit_bytes;
  switch (layout_.unit_bytes) {
    case 1:
      return copy_column<1>(from, to, layout_.units, stride);
    case 2:
      return copy_column<2>(from, to, layout_.units, stride);
    default:
      return copy_column<4>(from, to, layout_.units, stride);
  }
}

void Panel::load(const std::byte* panel, int first, int count, float* to, std::int64_t stride) const {
  const bool by_row = order_ == Order::by_row;
  const std::int64_t line_bytes =
      by_row ? static_cast<std::int64_t>(row_bytes()) : std::int64_t{rows_} * layout_.unit_bytes;
  const std::byte* from = units(panel) + first * (by_row ? line_bytes : layout_.unit_bytes);
  const LineBlock block{by_row ? count : width_, by_row ? width_ : count, line_bytes / layout_.unit_bytes, to, stride};
  switch (layout_.meaning) {
    case RowLayout::Units::floats:
      return copy_lines(reinterpret_cast<const float*>(from), block);
    case RowLayout::Units::scaled_int8: {
      const auto* codes = reinterpret_cast<const std::int8_t*>(from);
      const float* scales = parameters(panel) + first;
      return by_row ? scale_lines(codes, scales, block) : scale_columns(codes, scales, block);
    }
    case RowLayout::Units::bf16:
      return expand_bf16(reinterpret_cast<const std::uint16_t*>(from), block);
    case RowLayout::Units::affine_int4:
    case RowLayout::Units::own:
      break;
  }
  const HeldRows rows{from, line_bytes, parameters(panel) + first, rows_, count};
  if (by_row)
    codec_->decode(rows, to, stride);
  else
    codec_->channels()->decode_channels(rows, to, stride);
}

}  // namespace attnlab

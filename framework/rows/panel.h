// Equally long vectors side by side in one piece of memory, each held by a codec. By row, a vector stands together; by
// channel, the same component of all vectors does, as the score product reads keys. Not here: which vectors live, and
// where the memory comes from.
#pragma once

#include <cstddef>
#include <cstdint>

#include <attnlab/core.h>
#include <attnlab/storage.h>

namespace attnlab {

class Panel {
 public:
  enum class Order : std::uint8_t { by_row, by_channel };

  /// Vectors as they are.
  static Panel plain(Order order, int rows, int width);
  /// Vectors of `width` numbers as the codec holds them, which outlives the panel. By channel: the codec can read so
  /// (can_be_by_channel).
  Panel(const RowCodec& codec, Order order, int rows, int width);
  /// Bytes that something else gives a meaning.
  static Panel of_bytes(std::size_t bytes);

  /// Whether rows of the codec can lie channel by channel.
  [[nodiscard]] static bool can_be_by_channel(const RowCodec& codec);

  /// A multiple of 4, as the panel's place must be.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] Order order() const noexcept { return order_; }
  [[nodiscard]] int width() const noexcept { return width_; }
  [[nodiscard]] bool is_f32() const noexcept { return layout_.meaning == RowLayout::Units::floats; }
  /// Few bytes for many numbers, which the hardware does not fetch ahead by itself.
  [[nodiscard]] bool is_codes() const noexcept { return layout_.unit_bytes == 1; }

  /// Its units where a reader may compute with them, which have one size each.
  [[nodiscard]] CodedRows coded(const std::byte* panel) const noexcept {
    if (layout_.meaning == RowLayout::Units::scaled_int8)
      return {.codes = reinterpret_cast<const std::int8_t*>(units(panel)), .scales = parameters(panel)};
    if (layout_.meaning == RowLayout::Units::bf16)
      return {.bf16 = reinterpret_cast<const std::uint16_t*>(units(panel))};
    if (layout_.meaning == RowLayout::Units::affine_int4 && width_ % layout_.group == 0)
      return {.nibbles = reinterpret_cast<const std::uint8_t*>(units(panel)),
              .scales = parameters(panel),
              .minima = parameters(panel) + std::int64_t{width_} / layout_.group * rows_,
              .group = layout_.group};
    return {};
  }

  /// vector [width]
  void store(std::byte* panel, int row, const float* vector) const;
  /// The vector as it is held, within a panel or between two of the same kind.
  void copy(const std::byte* from, int from_row, std::byte* to, int to_row) const;
  /// Rows first .. first + count. By row: to [count, stride]; by channel: to [width, stride].
  void load(const std::byte* panel, int first, int count, float* to, std::int64_t stride) const;

 private:
  Panel(const RowCodec* codec, const RowLayout& layout, Order order, int rows, int width);
  [[nodiscard]] const float* parameters(const std::byte* panel) const { return reinterpret_cast<const float*>(panel); }
  [[nodiscard]] const std::byte* units(const std::byte* panel) const { return panel + units_at_; }
  [[nodiscard]] std::size_t row_bytes() const {
    return static_cast<std::size_t>(layout_.units) * static_cast<std::size_t>(layout_.unit_bytes);
  }

  const RowCodec* codec_;  // null: vectors as they are
  RowLayout layout_;
  Order order_;
  int rows_;
  int width_;
  std::size_t units_at_;
  std::size_t bytes_;
};

}  // namespace attnlab

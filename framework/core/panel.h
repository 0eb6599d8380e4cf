// Equally long vectors side by side in one piece of memory, each held by a codec: as they are, rounded, or as codes.
// By row, a vector stands together; by channel, the same component of all vectors does, as the score product reads
// keys. Not here: which vectors live, and where the memory comes from.
#pragma once

#include <cstddef>
#include <cstdint>

#include <attnlab/core.h>

namespace attnlab {

/// How the numbers of one vector are held. Codes as in KIVI (Liu et al. 2024), rounded to nearest, ties to even.
struct Codec {
  enum class Form : std::uint8_t {
    f32,
    bf16,
    symmetric,  // 8 bits: code * scale, one scale a vector
    affine      // 2 or 4 bits: code * scale + minimum, for each group of components
  };
  Form form = Form::f32;
  int bits = 32;
  int group = 0;  // components that share a scale and a minimum; the last group may be shorter
};

class Panel {
 public:
  enum class Order : std::uint8_t { by_row, by_channel };

  /// Affine codes by channel: 4 bits, and an even group.
  Panel(const Codec& codec, Order order, int rows, int width);

  /// A multiple of 4, as the panel's place must be.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] Order order() const noexcept { return order_; }
  [[nodiscard]] bool is_codes() const noexcept {
    return codec_.form == Codec::Form::symmetric || codec_.form == Codec::Form::affine;
  }
  [[nodiscard]] int width() const noexcept { return width_; }
  [[nodiscard]] bool is_symmetric() const noexcept { return codec_.form == Codec::Form::symmetric; }
  [[nodiscard]] bool is_f32() const noexcept { return codec_.form == Codec::Form::f32; }

  /// Its codes and scales where they are 8 bits and symmetric; else null.
  [[nodiscard]] CodedRows symmetric(const std::byte* panel) const noexcept {
    if (!is_symmetric()) return {};
    return {reinterpret_cast<const std::int8_t*>(codes(panel)), parameters(panel)};
  }

  /// vector [width]
  void store(std::byte* panel, int row, const float* vector) const;
  /// The vector as it is held, within a panel or between two of the same kind.
  void copy(const std::byte* from, int from_row, std::byte* to, int to_row) const;
  /// Rows first .. first + count. By row: to [count, stride]; by channel: to [width, stride].
  void load(const std::byte* panel, int first, int count, float* to, std::int64_t stride) const;
  /// Components first .. first + count of every row, to [rows, stride]. Of affine codes by row.
  void load_columns(const std::byte* panel, int first, int count, float* to, std::int64_t stride) const;

 private:
  // Codes of a vector in units of one component, or of as many as share a byte.
  void place(std::byte* panel, int row, const void* units) const;
  [[nodiscard]] const float* parameters(const std::byte* panel) const { return reinterpret_cast<const float*>(panel); }
  [[nodiscard]] const std::byte* codes(const std::byte* panel) const { return panel + codes_at_; }

  Codec codec_;
  Order order_;
  int rows_;
  int width_;
  int groups_ = 0;      // affine: of a vector
  int parameters_ = 0;  // floats of a vector, each of them [rows_]: scales, then minima
  int unit_bytes_;
  int units_;  // of a vector
  std::size_t codes_at_;
  std::size_t bytes_;
};

}  // namespace attnlab

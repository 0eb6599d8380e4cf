// A weight matrix [out, in], packed once into panels of 128 outputs: panel p holds, input by input, the weights of its
// outputs side by side, or their codes (coded_panel.h). Both kinds of product read a panel from end to end: the
// streaming product for a few tokens (bound by memory) and oneDNN for many (bound by arithmetic; a panel is its
// row-major B).
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include <attnlab/api.h>

#include "base/element.h"
#include "base/pages.h"

namespace attnlab {

inline constexpr std::int64_t kPanelOutputs = 128;

/// Of a whole matrix as it is packed.
[[nodiscard]] ATTNLAB_API std::size_t packed_bytes(std::int64_t out_dim, std::int64_t in_dim, ElementType type);

class ATTNLAB_API Matrix {
 public:
  /// Zeros, in memory of its own or in a part of the room that the matrices of a model share.
  Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type);
  Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type, PagesRoom& room);

  /// The same weights in the same memory, of a matrix in a room.
  [[nodiscard]] Matrix shared() const { return {out_dim_, in_dim_, type_, pages_.shared()}; }

  [[nodiscard]] std::int64_t out_dim() const noexcept { return out_dim_; }
  [[nodiscard]] std::int64_t in_dim() const noexcept { return in_dim_; }
  [[nodiscard]] ElementType type() const noexcept { return type_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return pages_.size(); }

  [[nodiscard]] int panels() const noexcept { return static_cast<int>((out_dim_ + kPanelOutputs - 1) / kPanelOutputs); }
  /// Outputs of a panel: 128, fewer in the last.
  [[nodiscard]] int panel_outputs(int panel) const noexcept {
    return static_cast<int>(std::min(kPanelOutputs, out_dim_ - panel * kPanelOutputs));
  }
  /// Elements from input to input: the outputs rounded up to whole vectors, the rest zeros.
  [[nodiscard]] int panel_stride(int panel) const noexcept { return (panel_outputs(panel) + 15) / 16 * 16; }
  [[nodiscard]] const std::byte* panel(int panel) const noexcept {
    return pages_.data() + static_cast<std::size_t>(panel) * whole_panel_bytes_;
  }

  /// Stores outputs first .. first + rows.size() / in_dim; elements in the matrix's own type, numbers that become codes
  /// or 16 bits as f32. Different outputs may be packed by different threads.
  void pack(std::int64_t first_output, std::span<const float> rows);
  void pack(std::int64_t first_output, std::span<const std::uint16_t> rows);

  /// What products of many tokens multiply; those of few are bound by memory, and multiply f32.
  void set_arithmetic(Arithmetic arithmetic) noexcept { arithmetic_ = arithmetic; }
  [[nodiscard]] Arithmetic arithmetic() const noexcept { return arithmetic_; }

  /// The values that the matrix was made of, where it is not a parameter itself: [out, in], or [in, out] where it is
  /// the transpose. Empty by default.
  struct Origin {
    std::span<const float> values{};
    bool is_transposed = false;
  };
  void set_origin(const Origin& origin) noexcept { origin_ = origin; }
  [[nodiscard]] const Origin& origin() const noexcept { return origin_; }

  /// The weights of one output as f32; out [in_dim]. What an embedding that is tied to the head reads.
  void copy_output(std::int64_t output, std::span<float> out) const;

 private:
  Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type, Pages pages);
  [[nodiscard]] std::byte* writable_panel(int panel) noexcept {
    return pages_.data() + static_cast<std::size_t>(panel) * whole_panel_bytes_;
  }
  template <class Element>
  void pack_elements(std::int64_t first_output, std::span<const Element> rows);

  std::int64_t out_dim_;
  std::int64_t in_dim_;
  ElementType type_;
  Arithmetic arithmetic_ = Arithmetic::f32;
  std::size_t whole_panel_bytes_;
  Pages pages_;
  Origin origin_;
};

}  // namespace attnlab

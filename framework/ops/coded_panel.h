// Panels whose weights are codes of 8 or 4 bits. Of each output, 32 inputs that follow each other are a group with one
// scale: a weight is scale x code, codes are -127 .. 127 or -8 .. 7 (the blocks Q8_0 and Q4_0 of GGUF hold the same
// numbers). A panel holds, group by group, the scales of its outputs side by side (f16), and then the codes: of 8 bits
// input by input; of 4 bits eight inputs after eight inputs, of each output a word of 32 bits that has the first of
// them in its lowest bits, as two's complement: where a vector is loaded, each lane holds the next inputs of one
// output. An input that is not there has the code 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/element.h"
#include "ops/product_kernels.h"

namespace attnlab {

inline constexpr std::int64_t kCodeGroup = 32;

/// Where things stand in a panel of so many inputs and outputs.
struct CodedPanel {
  ElementType type;
  std::int64_t in_dim;
  std::int64_t stride;  // outputs, rounded up to whole vectors

  [[nodiscard]] constexpr std::int64_t groups() const noexcept { return (in_dim + kCodeGroup - 1) / kCodeGroup; }
  [[nodiscard]] constexpr std::int64_t scale_bytes() const noexcept { return stride * 2; }
  /// Inputs whose codes stand together, output by output.
  [[nodiscard]] constexpr std::int64_t inputs_together() const noexcept { return type == ElementType::int8 ? 1 : 8; }
  /// Rows of codes in a group.
  [[nodiscard]] constexpr std::int64_t code_rows() const noexcept { return kCodeGroup / inputs_together(); }
  [[nodiscard]] constexpr std::int64_t row_bytes() const noexcept {
    return type == ElementType::int8 ? stride : stride * 4;
  }
  [[nodiscard]] constexpr std::int64_t group_bytes() const noexcept {
    return scale_bytes() + code_rows() * row_bytes();
  }
  [[nodiscard]] constexpr std::int64_t bytes() const noexcept { return groups() * group_bytes(); }
};

/// Stores one output's weights [in_dim] as the codes nearest to them.
void encode_output(const CodedPanel& shape, std::byte* panel, std::int64_t output, std::span<const float> weights);

/// One output's weights as f32; out [in_dim].
void decode_output(const CodedPanel& shape, const std::byte* panel, std::int64_t output, std::span<float> out);

/// The whole panel as f32; to [in_dim, stride].
void widen_codes(const CodedPanel& shape, const std::byte* panel, float* to);

/// As stream_product. Every output is a sum over groups in ascending order, each scale x (sum over its inputs).
void stream_coded_product(const PanelProduct& product);

}  // namespace attnlab

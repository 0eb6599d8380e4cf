#include "ops/matrix.h"

#include <vector>

#include "base/convert.h"
#include "ops/coded_panel.h"

namespace attnlab {
namespace {

// Of outputs that are whole vectors.
std::size_t panel_bytes(std::int64_t outputs, std::int64_t in_dim, ElementType type) {
  if (is_coded(type)) return static_cast<std::size_t>(CodedPanel{type, in_dim, outputs}.bytes());
  return static_cast<std::size_t>(outputs) * static_cast<std::size_t>(in_dim) * element_bytes(type);
}

}  // namespace

// Panels of 128 outputs, and one of the rest.
std::size_t packed_bytes(std::int64_t out_dim, std::int64_t in_dim, ElementType type) {
  ATTNLAB_CHECK(out_dim > 0 && in_dim > 0, "a matrix without elements");
  const std::int64_t rest = (out_dim % kPanelOutputs + 15) / 16 * 16;
  return static_cast<std::size_t>(out_dim / kPanelOutputs) * panel_bytes(kPanelOutputs, in_dim, type) +
         panel_bytes(rest, in_dim, type);
}

Matrix::Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type, Pages pages)
    : out_dim_(out_dim),
      in_dim_(in_dim),
      type_(type),
      whole_panel_bytes_(panel_bytes(kPanelOutputs, in_dim, type)),
      pages_(std::move(pages)) {}

Matrix::Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type)
    : Matrix(out_dim, in_dim, type, Pages(packed_bytes(out_dim, in_dim, type))) {}

Matrix::Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type, PagesRoom& room)
    : Matrix(out_dim, in_dim, type, room.take(packed_bytes(out_dim, in_dim, type))) {}

template <class Element>
void Matrix::pack_elements(std::int64_t first_output, std::span<const Element> rows) {
  ATTNLAB_CHECK(!is_coded(type_) && sizeof(Element) == element_bytes(type_), "elements of another width");
  const auto count = static_cast<std::int64_t>(rows.size()) / in_dim_;
  ATTNLAB_CHECK(first_output >= 0 && first_output + count <= out_dim_, "outputs outside the matrix");
  // Blocks of 16 x 16: reads and writes both stay within a few lines.
  constexpr std::int64_t block = 16;
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t output = first_output + row;
    const int index = static_cast<int>(output / kPanelOutputs);
    const std::int64_t stride = panel_stride(index);
    auto* to = reinterpret_cast<Element*>(writable_panel(index)) + output % kPanelOutputs;
    if (row + block <= count && output % block == 0) {
      for (std::int64_t input = 0; input < in_dim_; ++input)
        for (std::int64_t i = 0; i < block; ++i) to[input * stride + i] = rows[(row + i) * in_dim_ + input];
      row += block - 1;
    } else {
      for (std::int64_t input = 0; input < in_dim_; ++input) to[input * stride] = rows[row * in_dim_ + input];
    }
  }
}

void Matrix::pack(std::int64_t first_output, std::span<const float> rows) {
  if (type_ == ElementType::f32) return pack_elements<float>(first_output, rows);
  if (!is_coded(type_)) {
    std::vector<std::uint16_t> bits(rows.size());
    std::ranges::transform(rows, bits.begin(),
                           [&](float x) { return type_ == ElementType::bf16 ? to_bf16(x) : to_f16(x); });
    return pack_elements<std::uint16_t>(first_output, bits);
  }
  const auto count = static_cast<std::int64_t>(rows.size()) / in_dim_;
  ATTNLAB_CHECK(first_output >= 0 && first_output + count <= out_dim_, "outputs outside the matrix");
  for (std::int64_t row = 0; row < count; ++row) {
    const int index = static_cast<int>((first_output + row) / kPanelOutputs);
    encode_output({type_, in_dim_, panel_stride(index)}, writable_panel(index), (first_output + row) % kPanelOutputs,
                  rows.subspan(static_cast<std::size_t>(row * in_dim_), static_cast<std::size_t>(in_dim_)));
  }
}

void Matrix::pack(std::int64_t first_output, std::span<const std::uint16_t> rows) {
  pack_elements<std::uint16_t>(first_output, rows);
}

void Matrix::copy_output(std::int64_t output, std::span<float> out) const {
  const int index = static_cast<int>(output / kPanelOutputs);
  const std::int64_t stride = panel_stride(index);
  const std::int64_t column = output % kPanelOutputs;
  if (is_coded(type_)) return decode_output({type_, in_dim_, stride}, panel(index), column, out);
  if (type_ == ElementType::f32) {
    const auto* from = reinterpret_cast<const float*>(panel(index)) + column;
    for (std::int64_t input = 0; input < in_dim_; ++input) out[input] = from[input * stride];
    return;
  }
  const auto* from = reinterpret_cast<const std::uint16_t*>(panel(index)) + column;
  for (std::int64_t input = 0; input < in_dim_; ++input)
    out[input] = type_ == ElementType::bf16 ? from_bf16(from[input * stride]) : from_f16(from[input * stride]);
}

}  // namespace attnlab

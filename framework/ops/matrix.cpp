#include "ops/matrix.h"

#include "base/convert.h"

namespace attnlab {
namespace {

std::size_t packed_bytes(std::int64_t out_dim, std::int64_t in_dim, ElementType type) {
  ATTNLAB_CHECK(out_dim > 0 && in_dim > 0, "a matrix without elements");
  return static_cast<std::size_t>((out_dim + 15) / 16 * 16) * static_cast<std::size_t>(in_dim) * element_bytes(type);
}

}  // namespace

Matrix::Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type, Pages pages)
    : out_dim_(out_dim), in_dim_(in_dim), type_(type), pages_(std::move(pages)) {}

Matrix::Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type)
    : Matrix(out_dim, in_dim, type, Pages(packed_bytes(out_dim, in_dim, type))) {}

Matrix::Matrix(std::int64_t out_dim, std::int64_t in_dim, ElementType type, PagesRoom& room)
    : Matrix(out_dim, in_dim, type, room.take(packed_bytes(out_dim, in_dim, type))) {}

template <class Element>
void Matrix::pack_elements(std::int64_t first_output, std::span<const Element> rows) {
  ATTNLAB_CHECK(sizeof(Element) == element_bytes(type_), "elements of another width");
  const auto count = static_cast<std::int64_t>(rows.size()) / in_dim_;
  ATTNLAB_CHECK(first_output >= 0 && first_output + count <= out_dim_, "outputs outside the matrix");
  // Blocks of 16 x 16: reads and writes both stay within a few lines.
  constexpr std::int64_t block = 16;
  for (std::int64_t row = 0; row < count; ++row) {
    const std::int64_t output = first_output + row;
    const int index = static_cast<int>(output / kPanelOutputs);
    const std::int64_t stride = panel_stride(index);
    // const_cast: `panel` is the reading side; packing is the one writer.
    auto* to = reinterpret_cast<Element*>(const_cast<std::byte*>(panel(index))) + output % kPanelOutputs;
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
  pack_elements<float>(first_output, rows);
}

void Matrix::pack(std::int64_t first_output, std::span<const std::uint16_t> rows) {
  pack_elements<std::uint16_t>(first_output, rows);
}

void Matrix::copy_output(std::int64_t output, std::span<float> out) const {
  const int index = static_cast<int>(output / kPanelOutputs);
  const std::int64_t stride = panel_stride(index);
  const std::int64_t column = output % kPanelOutputs;
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

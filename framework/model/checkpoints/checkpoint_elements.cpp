// Elements of a stored tensor as numbers. Data may be unaligned, so every load is a memcpy, which compilers turn into
// plain and, in these loops, vector loads. All conversions are exact.
#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "model/checkpoints/checkpoint.h"
#include "model/checkpoints/gguf_blocks.h"
#include "model/checkpoints/strict_json.h"

namespace attnlab::model {
namespace {

constexpr std::int64_t kFiniteBlock = 4096;  // elements: one answer per block, so that the inner loop has no exit

template <typename Bits>
Bits load(const std::byte* source, std::size_t element) {
  Bits bits;
  std::memcpy(&bits, source + element * sizeof(Bits), sizeof(Bits));
  return bits;
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

// All ones if the condition holds. Selecting by masks keeps branches, and so the scalar path, out of the loop.
std::uint32_t mask(bool condition) {
  return 0u - static_cast<std::uint32_t>(condition);
}

// Denormals go through an integer, never through a float denormal: threads may run with those flushed to zero.
float from_f16(std::uint16_t bits) {
  constexpr std::uint32_t kRebias = (127u - 15u) << 23;
  const std::uint32_t sign = (std::uint32_t{bits} & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7fffu;
  const std::uint32_t normal = (magnitude << 13) + kRebias;
  const auto denormal =
      std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f);
  const std::uint32_t finite = normal ^ ((normal ^ denormal) & mask(magnitude < 0x0400u));
  // From exponent 31 to 143 by the line above, and on to 255 here: infinities and NaNs keep their payload.
  return std::bit_cast<float>(sign | (finite + (kRebias & mask(magnitude >= 0x7c00u))));
}

void widen_bf16(const std::byte* source, std::span<float> out) {
  float* const target = out.data();
  for (std::size_t i = 0, n = out.size(); i < n; ++i) target[i] = from_bf16(load<std::uint16_t>(source, i));
}

void widen_f16(const std::byte* source, std::span<float> out) {
  float* const target = out.data();
  for (std::size_t i = 0, n = out.size(); i < n; ++i) target[i] = from_f16(load<std::uint16_t>(source, i));
}

// All exponent bits set: infinite or NaN, in every one of these formats.
template <typename Bits>
std::optional<std::int64_t> find_exponent(const std::byte* source, std::int64_t count, Bits exponent) {
  for (std::int64_t block = 0; block < count; block += kFiniteBlock) {
    const auto end = static_cast<std::size_t>(std::min(block + kFiniteBlock, count));
    Bits found = 0;
    for (auto i = static_cast<std::size_t>(block); i < end; ++i) {
      found |= static_cast<Bits>((load<Bits>(source, i) & exponent) == exponent);
    }
    if (found == 0) continue;
    for (auto i = static_cast<std::size_t>(block); i < end; ++i) {
      if ((load<Bits>(source, i) & exponent) == exponent) return static_cast<std::int64_t>(i);
    }
  }
  return std::nullopt;
}

void check_range(const StoredTensor& tensor, std::int64_t first, std::int64_t count) {
  check_weight_dtype(tensor);
  const std::int64_t elements = tensor.info->elements();
  ATTNLAB_CHECK(first >= 0 && count >= 0 && first <= elements && count <= elements - first,
                "a range outside its tensor");
}

// Where a range of plain elements begins in memory.
const std::byte* range_start(const StoredTensor& tensor, std::int64_t first) {
  const auto width = static_cast<std::size_t>(dtype_bits(tensor.info->dtype) / 8);
  return tensor.bytes().data() + static_cast<std::size_t>(first) * width;
}

// Whether elements stand in memory one after the other, as numbers.
bool is_plain(const TensorInfo& info) {
  return info.block == BlockType::none && info.interleaved_heads == 0 && !info.view;
}

// The row that is stored in the place of `row`.
std::int64_t stored_row(const TensorInfo& info, std::int64_t row) {
  if (info.interleaved_heads == 0) return row;
  const std::int64_t of_head = info.shape.front() / info.interleaved_heads, half = of_head / 2;
  const std::int64_t head = row / of_head, m = row % of_head;
  return head * of_head + (m < half ? 2 * m : 2 * (m - half) + 1);
}

// The parts of rows that the range [first, first + count) is made of: body(first element in the stored order, where it
// goes in the range, elements).
template <class Body>
void for_each_part(const TensorInfo& info, std::int64_t first, std::int64_t count, const Body& body) {
  const std::int64_t width = info.shape.empty() ? 1 : info.elements() / info.shape.front();
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t row = (first + done) / width, column = (first + done) % width;
    const std::int64_t part = std::min(width - column, count - done);
    body(stored_row(info, row) * width + column, done, part);
    done += part;
  }
}

// Elements of whole blocks, of which the first and the last may be needed in part only.
void read_blocks(const StoredTensor& tensor, std::int64_t first, std::span<float> out) {
  const BlockShape shape = block_shape(tensor.info->block);
  float values[kMostBlockElements];
  for (std::int64_t done = 0; done < std::ssize(out);) {
    const std::int64_t block = (first + done) / shape.elements, skipped = (first + done) % shape.elements;
    const std::int64_t part = std::min(shape.elements - skipped, std::ssize(out) - done);
    read_block(tensor.info->block, tensor.bytes().data() + block * shape.bytes, values);
    std::copy_n(values + skipped, part, out.begin() + done);
    done += part;
  }
}

void read_plain_f32(const StoredTensor& tensor, std::int64_t first_element, std::span<float> out) {
  const std::byte* const source = range_start(tensor, first_element);
  if (tensor.info->dtype == DType::bf16) return widen_bf16(source, out);
  if (tensor.info->dtype == DType::f16) return widen_f16(source, out);
  if (!out.empty()) std::memcpy(out.data(), source, out.size_bytes());
}

void read_plain_bits16(const StoredTensor& tensor, std::int64_t first_element, std::span<std::uint16_t> out) {
  const std::byte* const source = range_start(tensor, first_element);
  if (!out.empty()) std::memcpy(out.data(), source, out.size_bytes());
}

// Elements first .. first + count of a view: body(element of the stored tensor, where it goes in the range).
template <class Body>
void for_each_viewed(const TensorInfo& info, std::int64_t first, std::int64_t count, const Body& body) {
  const std::int64_t width = info.shape.empty() ? 1 : info.elements() / info.shape.front();
  const ElementView& view = *info.view;
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t column = (first + done) % width, part = std::min(width - column, count - done);
    const std::int64_t from = view.row((first + done) / width) + column * view.column_stride;
    for (std::int64_t i = 0; i < part; ++i) body(from + i * view.column_stride, done + i);
    done += part;
  }
}

void read_viewed(const StoredTensor& tensor, std::int64_t first, std::span<float> out) {
  const std::byte* const source = tensor.bytes().data();
  const auto read = [&](const auto& widened) {
    for_each_viewed(*tensor.info, first, std::ssize(out),
                    [&](std::int64_t from, std::int64_t to) { out[static_cast<std::size_t>(to)] = widened(from); });
  };
  const auto element = [](std::int64_t index) { return static_cast<std::size_t>(index); };
  if (tensor.info->dtype == DType::bf16)
    read([&](std::int64_t i) { return from_bf16(load<std::uint16_t>(source, element(i))); });
  else if (tensor.info->dtype == DType::f16)
    read([&](std::int64_t i) { return from_f16(load<std::uint16_t>(source, element(i))); });
  else
    read([&](std::int64_t i) { return load<float>(source, element(i)); });
  if (const float added = tensor.info->view->added; added != 0)
    for (float& number : out) number += added;
}

std::optional<std::int64_t> first_nonfinite_read(const StoredTensor& tensor, std::int64_t first, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(std::min(count, kFiniteBlock)));
  for (std::int64_t done = 0; done < count; done += kFiniteBlock) {
    const auto part = std::span(values).first(static_cast<std::size_t>(std::min(kFiniteBlock, count - done)));
    read_f32(tensor, first + done, part);
    const auto* const source = reinterpret_cast<const std::byte*>(part.data());
    if (const auto found = find_exponent<std::uint32_t>(source, std::ssize(part), 0x7f800000u))
      return first + done + *found;
  }
  return std::nullopt;
}

}  // namespace

void check_weight_dtype(const StoredTensor& tensor) {
  const DType dtype = tensor.info->dtype;
  if (dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16) return;
  throw Error(tensor.file->path().string(),
              fmt::format("tensor {} has dtype {}", in_quotes(tensor.info->name), dtype_name(dtype)),
              "weights must be F32, F16 or BF16");
}

void read_f32(const StoredTensor& tensor, std::int64_t first_element, std::span<float> out) {
  check_range(tensor, first_element, std::ssize(out));
  if (is_plain(*tensor.info)) return read_plain_f32(tensor, first_element, out);
  if (tensor.info->view) return read_viewed(tensor, first_element, out);
  for_each_part(*tensor.info, first_element, std::ssize(out), [&](std::int64_t from, std::int64_t to, std::int64_t n) {
    const std::span<float> part = out.subspan(static_cast<std::size_t>(to), static_cast<std::size_t>(n));
    if (tensor.info->block == BlockType::none)
      read_plain_f32(tensor, from, part);
    else
      read_blocks(tensor, from, part);
  });
}

void read_f32(const StoredTensor& tensor, std::span<float> out) {
  ATTNLAB_CHECK(static_cast<std::int64_t>(out.size()) == tensor.info->elements(), "not the whole tensor");
  read_f32(tensor, 0, out);
}

void read_bits16(const StoredTensor& tensor, std::int64_t first_element, std::span<std::uint16_t> out) {
  ATTNLAB_CHECK(dtype_bits(tensor.info->dtype) == 16, "a tensor whose elements are not 16 bits wide");
  check_range(tensor, first_element, std::ssize(out));
  if (is_plain(*tensor.info)) return read_plain_bits16(tensor, first_element, out);
  if (tensor.info->view) {
    ATTNLAB_CHECK(tensor.info->view->added == 0, "bits of numbers that are changed as they are read");
    return for_each_viewed(*tensor.info, first_element, std::ssize(out), [&](std::int64_t from, std::int64_t to) {
      out[static_cast<std::size_t>(to)] = load<std::uint16_t>(tensor.bytes().data(), static_cast<std::size_t>(from));
    });
  }
  for_each_part(*tensor.info, first_element, std::ssize(out), [&](std::int64_t from, std::int64_t to, std::int64_t n) {
    read_plain_bits16(tensor, from, out.subspan(static_cast<std::size_t>(to), static_cast<std::size_t>(n)));
  });
}

std::optional<std::int64_t> first_nonfinite(const StoredTensor& tensor, std::int64_t first_element,
                                            std::int64_t count) {
  check_range(tensor, first_element, count);
  if (!is_plain(*tensor.info)) return first_nonfinite_read(tensor, first_element, count);
  const std::byte* const source = range_start(tensor, first_element);
  std::optional<std::int64_t> found;
  switch (tensor.info->dtype) {
    case DType::f32:
      found = find_exponent<std::uint32_t>(source, count, 0x7f800000u);
      break;
    case DType::bf16:
      found = find_exponent<std::uint16_t>(source, count, 0x7f80u);
      break;
    default:
      found = find_exponent<std::uint16_t>(source, count, 0x7c00u);
      break;
  }
  if (found) *found += first_element;
  return found;
}

std::int64_t element_in_file(const TensorInfo& info, std::int64_t element) {
  std::int64_t found = element;
  const auto take = [&](std::int64_t from, auto...) { found = from; };
  if (info.view)
    for_each_viewed(info, element, 1, take);
  else
    for_each_part(info, element, 1, take);
  return found;
}

void check_finite(const StoredTensor& tensor) {
  const auto element = first_nonfinite(tensor, 0, tensor.info->elements());
  if (!element) return;
  float value = 0;
  read_f32(tensor, *element, std::span(&value, 1));
  throw Error(tensor.file->path().string(),
              fmt::format("tensor {}: element {} is {}", in_quotes(tensor.info->name),
                          element_in_file(*tensor.info, *element), value),
              "weights must be finite unless allow_nonfinite is true");
}

}  // namespace attnlab::model

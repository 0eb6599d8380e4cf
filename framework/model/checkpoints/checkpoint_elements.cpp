// Elements of a stored tensor as numbers. Data may be unaligned, so every load is a memcpy, which compilers turn into
// plain and, in these loops, vector loads. All conversions are exact.
#include <algorithm>
#include <bit>
#include <cstring>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "model/checkpoints/checkpoint.h"
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

// Where the range begins in memory, after the checks that all readers share.
const std::byte* range_start(const StoredTensor& tensor, std::int64_t first, std::int64_t count) {
  check_weight_dtype(tensor);
  const std::int64_t elements = tensor.info->elements();
  ATTNLAB_CHECK(first >= 0 && count >= 0 && first <= elements && count <= elements - first,
                "a range outside its tensor");
  const auto width = static_cast<std::size_t>(dtype_bits(tensor.info->dtype) / 8);
  return tensor.file->bytes(*tensor.info).data() + static_cast<std::size_t>(first) * width;
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
  const std::byte* const source = range_start(tensor, first_element, static_cast<std::int64_t>(out.size()));
  if (tensor.info->dtype == DType::bf16) return widen_bf16(source, out);
  if (tensor.info->dtype == DType::f16) return widen_f16(source, out);
  if (!out.empty()) std::memcpy(out.data(), source, out.size_bytes());
}

void read_f32(const StoredTensor& tensor, std::span<float> out) {
  ATTNLAB_CHECK(static_cast<std::int64_t>(out.size()) == tensor.info->elements(), "not the whole tensor");
  read_f32(tensor, 0, out);
}

void read_bits16(const StoredTensor& tensor, std::int64_t first_element, std::span<std::uint16_t> out) {
  ATTNLAB_CHECK(dtype_bits(tensor.info->dtype) == 16, "a tensor whose elements are not 16 bits wide");
  const std::byte* const source = range_start(tensor, first_element, static_cast<std::int64_t>(out.size()));
  if (!out.empty()) std::memcpy(out.data(), source, out.size_bytes());
}

std::optional<std::int64_t> first_nonfinite(const StoredTensor& tensor, std::int64_t first_element,
                                            std::int64_t count) {
  const std::byte* const source = range_start(tensor, first_element, count);
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

void check_finite(const StoredTensor& tensor) {
  const auto element = first_nonfinite(tensor, 0, tensor.info->elements());
  if (!element) return;
  float value = 0;
  read_f32(tensor, *element, std::span(&value, 1));
  throw Error(tensor.file->path().string(),
              fmt::format("tensor {}: element {} is {}", in_quotes(tensor.info->name), *element, value),
              "weights must be finite unless allow_nonfinite is true");
}

}  // namespace attnlab::model

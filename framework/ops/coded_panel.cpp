#include "ops/coded_panel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/convert.h"

namespace attnlab {
namespace {

constexpr int kCodesOfWord = 8;  // of 4 bits
constexpr float kMost8 = 127;
constexpr float kLargestHalf = 65472;  // a step below the largest number of f16, so that it can be rounded up
constexpr float kLeast4 = -8;  // the number that is farthest from 0 has this code, whatever its sign: as in Q4_0

std::uint16_t* scale_of(const CodedPanel& shape, std::byte* panel, std::int64_t group, std::int64_t output) {
  return reinterpret_cast<std::uint16_t*>(panel + group * shape.group_bytes()) + output;
}

}  // namespace

void encode_output(const CodedPanel& shape, std::byte* panel, std::int64_t output, std::span<const float> weights) {
  for (std::int64_t group = 0; group < shape.groups(); ++group) {
    const std::int64_t first = group * kCodeGroup;
    const auto count = std::min(kCodeGroup, shape.in_dim - first);
    const std::span<const float> part =
        weights.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    const float farthest = *std::ranges::max_element(part, {}, [](float weight) { return std::abs(weight); });
    // A number that no code can stand for makes its group NaN, so that it is noticed where it is used.
    const bool has_codes = std::ranges::all_of(part, [](float weight) { return std::isfinite(weight); }) &&
                           std::abs(farthest) / (shape.type == ElementType::int8 ? kMost8 : -kLeast4) <= kLargestHalf;
    const float step = !has_codes                        ? std::numeric_limits<float>::quiet_NaN()
                       : shape.type == ElementType::int8 ? std::abs(farthest) / kMost8
                                                         : farthest / kLeast4;
    std::uint16_t bits = to_f16(step);
    if (std::abs(from_f16(bits)) < std::abs(step)) ++bits;  // away from 0, so that the farthest has a code
    *scale_of(shape, panel, group, output) = bits;
    const float scale = from_f16(bits);
    const auto code = [&](std::int64_t i, float least, float most) {
      if (i >= count || scale == 0 || !has_codes) return 0;
      return static_cast<int>(std::clamp(std::nearbyint(part[static_cast<std::size_t>(i)] / scale), least, most));
    };
    std::byte* codes = panel + group * shape.group_bytes() + shape.scale_bytes();
    for (std::int64_t row = 0; row < shape.code_rows(); ++row, codes += shape.row_bytes()) {
      if (shape.type == ElementType::int8) {
        codes[output] = static_cast<std::byte>(code(row, -kMost8, kMost8));
        continue;
      }
      std::uint32_t word = 0;
      for (int i = 0; i < kCodesOfWord; ++i)
        word |= (static_cast<std::uint32_t>(code(row * kCodesOfWord + i, kLeast4, 7)) & 15U) << 4 * i;
      std::memcpy(codes + output * static_cast<std::int64_t>(sizeof word), &word, sizeof word);
    }
  }
}

void decode_output(const CodedPanel& shape, const std::byte* panel, std::int64_t output, std::span<float> out) {
  for (std::int64_t i = 0; i < shape.in_dim; ++i) {
    const std::byte* group = panel + i / kCodeGroup * shape.group_bytes();
    const float scale = from_f16(reinterpret_cast<const std::uint16_t*>(group)[output]);
    const std::int64_t at = i % kCodeGroup;
    const std::byte* codes = group + shape.scale_bytes() + at / shape.inputs_together() * shape.row_bytes();
    int code = 0;
    if (shape.type == ElementType::int8) {
      code = static_cast<std::int8_t>(codes[output]);
    } else {
      std::uint32_t word = 0;
      std::memcpy(&word, codes + output * static_cast<std::int64_t>(sizeof word), sizeof word);
      const int bits = static_cast<int>(word >> 4 * (at % kCodesOfWord) & 15U);
      code = bits < 8 ? bits : bits - 16;
    }
    out[static_cast<std::size_t>(i)] = scale * static_cast<float>(code);
  }
}

}  // namespace attnlab

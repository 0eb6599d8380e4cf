// Numbers to codes and back, a line of memory at a time: the kernels that codecs of storages are made of, vectorised
// for the processor that runs. Products and sums are rounded one after the other, so that every instruction set reads
// back the same bits.
#pragma once

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab {

/// A code stands for code * scale + minimum.
struct AffineRange {
  float scale = 0;
  float minimum = 0;
};

/// max |x| / 127; NaN if any x is not finite, so that it shows when it is read back.
[[nodiscard]] ATTNLAB_API float symmetric_scale(const float* from, int count);
/// clamp(rint(x / scale), -127, 127), ties to even; zeros for a scale of zero.
ATTNLAB_API void symmetric_codes(const float* from, int count, float scale, std::int8_t* codes);
/// scale = (max - min) / levels; NaN if any x is not finite.
[[nodiscard]] ATTNLAB_API AffineRange affine_range(const float* from, int count, int levels);
/// clamp(rint((x - minimum) / scale), 0, levels), ties to even; zeros for a scale of zero.
ATTNLAB_API void affine_codes(const float* from, int count, AffineRange range, int levels, std::uint8_t* codes);
/// Codes of `bits` (2, 3 or 4) in place, side by side from the low end of each byte; the last byte is filled with
/// zeros.
ATTNLAB_API void pack_codes(std::uint8_t* codes, int count, int bits);
/// Bytes of so many packed codes.
[[nodiscard]] constexpr int packed_bytes(int count, int bits) noexcept {
  return (count * bits + 7) / 8;
}

/// To the nearest bfloat16, ties to even; NaN stays NaN.
ATTNLAB_API void round_to_bf16(const float* from, int count, std::uint16_t* to);

/// A block of lines: line l of the source begins `from_stride` after line l - 1, and that of the result `to_stride`.
struct LineBlock {
  int lines;
  int count;  // numbers of a line
  std::int64_t from_stride;
  float* to;
  std::int64_t to_stride;
};

ATTNLAB_API void expand_bf16(const std::uint16_t* from, const LineBlock& block);
/// scales [count]: of the columns.
ATTNLAB_API void scale_columns(const std::int8_t* codes, const float* scales, const LineBlock& block);
/// scales [lines]
ATTNLAB_API void scale_lines(const std::int8_t* codes, const float* scales, const LineBlock& block);

/// A scale and a minimum for each group of `group` components of each vector; those of one group side by side.
struct AffineParameters {
  const float* scales;
  const float* minima;
  std::int64_t stride;  // from group to group
  int group;
};

/// Lines are components, two in each line of codes (the even one in the low half of a byte); columns are vectors.
/// `lines` counts components and from_stride bytes. The group is even.
ATTNLAB_API void affine_columns(const std::uint8_t* codes, const AffineParameters& parameters, const LineBlock& block);
/// Lines are vectors, packed with `bits` (2, 3 or 4) from the low end of each byte; components first .. first + count.
/// from_stride is the bytes of a line; nothing past them is read.
ATTNLAB_API void affine_lines(const std::uint8_t* codes, int bits, int first, const AffineParameters& parameters,
                              const LineBlock& block);

}  // namespace attnlab

// Numbers to codes and back, a line of memory at a time. What is a vector and what a channel is known one floor up
// (panel.h). Products and sums are rounded one after the other, so that every instruction set reads back the same bits.
#pragma once

#include <cstdint>

namespace attnlab {

/// A code stands for code * scale + minimum.
struct AffineRange {
  float scale = 0;
  float minimum = 0;
};

/// max |x| / 127; NaN if any x is not finite, so that it shows when it is read back.
float symmetric_scale(const float* from, int count);
/// clamp(rint(x / scale), -127, 127), ties to even; zeros for a scale of zero.
void symmetric_codes(const float* from, int count, float scale, std::int8_t* codes);
/// scale = (max - min) / levels; NaN if any x is not finite.
AffineRange affine_range(const float* from, int count, int levels);
/// clamp(rint((x - minimum) / scale), 0, levels), ties to even; zeros for a scale of zero.
void affine_codes(const float* from, int count, AffineRange range, int levels, std::uint8_t* codes);

/// A block of lines: line l of the source begins `from_stride` after line l - 1, and that of the result `to_stride`.
struct LineBlock {
  int lines;
  int count;  // numbers of a line
  std::int64_t from_stride;
  float* to;
  std::int64_t to_stride;
};

void expand_bf16(const std::uint16_t* from, const LineBlock& block);
/// scales [count]: of the columns.
void scale_columns(const std::int8_t* codes, const float* scales, const LineBlock& block);
/// scales [lines]
void scale_lines(const std::int8_t* codes, const float* scales, const LineBlock& block);

/// A scale and a minimum for each group of `group` components of each vector; those of one group side by side.
struct AffineParameters {
  const float* scales;
  const float* minima;
  std::int64_t stride;  // from group to group
  int group;
};

/// Lines are components, two in each line of codes (the even one in the low half of a byte); columns are vectors.
/// `lines` counts components and from_stride bytes. The group is even.
void affine_columns(const std::uint8_t* codes, const AffineParameters& parameters, const LineBlock& block);
/// Lines are vectors, packed with `bits` (2 or 4) from the low end of each byte; components first .. first + count.
/// from_stride is the bytes of a line; nothing behind them is read.
void affine_lines(const std::uint8_t* codes, int bits, int first, const AffineParameters& parameters,
                  const LineBlock& block);

}  // namespace attnlab

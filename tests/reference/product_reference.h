// Weights of every element type with their values in double precision, and the product as its two loops say it.
#pragma once

#include <cmath>
#include <ostream>
#include <span>
#include <vector>

#include "ops/matrix.h"
#include "reference/streams.h"

namespace attnlab {
inline std::ostream& operator<<(std::ostream& out, ElementType type) {
  return out << element_name(type);
}
}  // namespace attnlab

namespace attnlab::reference {

inline constexpr ElementType kElementTypes[] = {ElementType::f32, ElementType::bf16, ElementType::f16};

/// sign, exponent and mantissa put together: 16-bit elements by their definition.
inline double half_value(std::uint16_t bits, ElementType type) {
  const int mantissa_bits = type == ElementType::bf16 ? 7 : 10;
  const int exponent_bits = 15 - mantissa_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const double sign = bits >> 15 != 0 ? -1 : 1;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

/// Bits of some weight around `deviation`: any mantissa, exponents of that magnitude.
inline std::uint16_t half_bits(Stream& stream, ElementType type, double deviation = 1) {
  const int mantissa_bits = type == ElementType::bf16 ? 7 : 10;
  const int bias = (1 << (14 - mantissa_bits)) - 1;
  const int exponent = bias + static_cast<int>(std::floor(std::log2(deviation))) - stream.between(0, 3);
  return static_cast<std::uint16_t>((stream.bits() & 0x8000U) | static_cast<unsigned>(exponent) << mantissa_bits |
                                    (stream.bits() & ((1U << mantissa_bits) - 1)));
}

/// [out_dim, in_dim] in the elements of a checkpoint, and what they are worth.
struct Weights {
  Weights(std::int64_t out_dim_, std::int64_t in_dim_, ElementType type_, Stream& stream, double deviation = 1)
      : out_dim(out_dim_), in_dim(in_dim_), type(type_) {
    for (std::int64_t i = 0; i < out_dim * in_dim; ++i) {
      if (type == ElementType::f32) {
        floats.push_back(static_cast<float>(deviation * stream.normal()));
        values.push_back(floats.back());
      } else {
        halves.push_back(half_bits(stream, type, deviation));
        values.push_back(half_value(halves.back(), type));
      }
    }
  }
  void pack_into(Matrix& matrix, std::int64_t first, std::int64_t outputs) const {
    const auto offset = static_cast<std::size_t>(first * in_dim);
    const auto count = static_cast<std::size_t>(outputs * in_dim);
    if (type == ElementType::f32)
      matrix.pack(first, std::span(floats).subspan(offset, count));
    else
      matrix.pack(first, std::span(halves).subspan(offset, count));
  }
  [[nodiscard]] Matrix packed() const {
    Matrix matrix(out_dim, in_dim, type);
    pack_into(matrix, 0, out_dim);
    return matrix;
  }
  [[nodiscard]] double value(std::int64_t output, std::int64_t input) const { return values[output * in_dim + input]; }

  std::int64_t out_dim;
  std::int64_t in_dim;
  ElementType type;
  std::vector<float> floats;
  std::vector<std::uint16_t> halves;
  std::vector<double> values;  // [out_dim, in_dim]
};

/// A result, and for each number the sum of the magnitudes that it was added up from: what its error is relative to.
struct Sums {
  std::vector<double> values;
  std::vector<double> sizes;
};

/// input [tokens, in_dim] times the weights, plus the bias if there is one: [tokens, out_dim].
inline Sums product(std::span<const float> input, const Weights& weights, std::span<const float> bias) {
  Sums sums;
  for (std::size_t token = 0; token < input.size() / weights.in_dim; ++token)
    for (std::int64_t output = 0; output < weights.out_dim; ++output) {
      double value = bias.empty() ? 0 : bias[output];
      double size = std::abs(value);
      for (std::int64_t i = 0; i < weights.in_dim; ++i) {
        const double term = input[token * weights.in_dim + i] * weights.value(output, i);
        value += term;
        size += std::abs(term);
      }
      sums.values.push_back(value);
      sums.sizes.push_back(size);
    }
  return sums;
}

/// silu(gate) * up, number by number. The slope of silu is at most 1.1.
inline Sums gated(const Sums& gate, const Sums& up) {
  Sums sums;
  for (std::size_t i = 0; i < up.values.size(); ++i) {
    const double silu = gate.values[i] / (1 + std::exp(-gate.values[i]));
    sums.values.push_back(silu * up.values[i]);
    sums.sizes.push_back(1.1 * gate.sizes[i] * std::abs(up.values[i]) + std::abs(silu) * up.sizes[i]);
  }
  return sums;
}

/// The largest error, each relative to its size; infinity where anything is not a number.
inline double relative_error(std::span<const float> found, const Sums& right) {
  double largest = found.size() == right.values.size() ? 0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < std::min(found.size(), right.values.size()); ++i) {
    const double error = std::abs(found[i] - right.values[i]) / right.sizes[i];
    largest = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(largest, error);
  }
  return largest;
}

/// Of a sum of any length in single precision: as a random walk the roundings of n partial sums make sqrt(n) of them,
/// each about the sum's size over sqrt(n). Of 10^5 outputs the worst is off by 6 roundings; 12 leaves room.
inline constexpr double kSumTolerance = 12 * kRounding;

}  // namespace attnlab::reference

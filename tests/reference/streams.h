// What the tests of the core feed and compare: numbers from a fixed seed, ragged chunks that own their arrays, and the
// two ways of comparing results (bit by bit, or by an error that is normalised).
// Not here: the reference itself (attend_reference.h), sources of keys and values (row_source.h).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numbers>
#include <random>
#include <span>
#include <vector>

#include <attnlab/chunk.h>
#include <attnlab/tensor_view.h>

#include "parallel/keep_threads.h"

namespace attnlab::reference {

/// The same numbers on every platform: the distributions of <random> are not.
class Stream {
 public:
  explicit Stream(std::uint64_t seed) : engine_(seed) {}

  /// 0 <= x < 1
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  /// low <= x <= high
  int between(int low, int high) { return low + static_cast<int>(uniform() * (high - low + 1)); }
  int one_of(std::span<const int> choices) { return choices[between(0, static_cast<int>(choices.size()) - 1)]; }
  std::uint64_t bits() { return engine_(); }
  float normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return static_cast<float>(radius * std::cos(2 * std::numbers::pi * uniform()));
  }
  std::vector<float> normals(std::int64_t count, double deviation = 1) {
    std::vector<float> all(static_cast<std::size_t>(count));
    for (float& value : all) value = static_cast<float>(deviation * normal());
    return all;
  }
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (int last = static_cast<int>(items.size()) - 1; last > 0; --last)
      std::swap(items[last], items[between(0, last)]);
  }

 private:
  std::mt19937_64 engine_;
};

/// A ragged batch that owns what a ChunkView looks at.
struct Chunk {
  std::vector<std::int32_t> offsets{0};
  std::vector<Position> positions;
  std::vector<Phase> phases;
  std::vector<Position> lengths;

  /// One more sequence: `tokens` of them, the first at position `first`.
  Chunk& add(Position first, int tokens, Phase phase = Phase::last_prefill) {
    for (int token = 0; token < tokens; ++token) positions.push_back(first + token);
    offsets.push_back(static_cast<std::int32_t>(positions.size()));
    phases.push_back(phase);
    lengths.push_back(first + tokens);
    return *this;
  }
  [[nodiscard]] ChunkView view() const { return {offsets, positions, phases, lengths}; }
};

/// [rows, heads, width] over a dense vector.
inline TensorView<float, 3> rows_view(std::vector<float>& values, std::int64_t heads, std::int64_t width) {
  return {values.data(), {static_cast<std::int64_t>(values.size()) / (heads * width), heads, width}};
}
inline TensorView<const float, 3> rows_view(const std::vector<float>& values, std::int64_t heads, std::int64_t width) {
  return {values.data(), {static_cast<std::int64_t>(values.size()) / (heads * width), heads, width}};
}
/// [rows, width] over a dense vector.
inline TensorView<float, 2> matrix_view(std::vector<float>& values, std::int64_t width) {
  return {values.data(), {static_cast<std::int64_t>(values.size()) / width, width}};
}
inline TensorView<const float, 2> matrix_view(const std::vector<float>& values, std::int64_t width) {
  return {values.data(), {static_cast<std::int64_t>(values.size()) / width, width}};
}

/// Half the distance from 1 to the next float: the error of one rounding.
inline constexpr double kRounding = 0x1p-24;

/// Largest difference over the largest magnitude of what is right; infinity where anything is not a number.
template <class Real>
double normalised_error(std::span<const float> found, std::span<const Real> right) {
  double difference = found.size() == right.size() ? 0 : std::numeric_limits<double>::infinity();
  double largest = std::numeric_limits<double>::min();
  for (std::size_t i = 0; i < std::min(found.size(), right.size()); ++i) {
    const double error = std::abs(static_cast<double>(found[i]) - static_cast<double>(right[i]));
    difference = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(difference, error);
    largest = std::max(largest, std::abs(static_cast<double>(right[i])));
  }
  return difference / largest;
}
inline double normalised_error(const std::vector<float>& found, const std::vector<double>& right) {
  return normalised_error<double>(std::span(found), std::span(right));
}
inline double normalised_error(const std::vector<float>& found, const std::vector<float>& right) {
  return normalised_error<float>(std::span(found), std::span(right));
}

/// Equal as bytes: tells 0 from -0, and a NaN equals itself.
inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

}  // namespace attnlab::reference

// Tensors against goldens of which large matrices are stored as two sketches, products with signs: [m, 8] and [8, n].
#pragma once

#include <cmath>
#include <cstdint>

#include "golden/golden_tensors.h"

namespace attnlab::program_test {

// The signs of a sketch: row j of [n, 8], by splitmix64.
inline double sign(std::uint64_t row, int column) {
  std::uint64_t z = (row + 1) * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  z ^= z >> 31;
  return ((z >> (56 + column)) & 1U) != 0 ? 1 : -1;
}

inline double distance(const std::vector<double>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return a.size() == b.size() ? std::sqrt(sum) : std::numeric_limits<double>::infinity();
}

// [m, 8] and [8, n] of a matrix [m, n].
inline std::vector<double> row_sketch(const Values<float>& matrix) {
  const std::int64_t m = matrix.shape[0], n = matrix.shape[1];
  std::vector<double> sketch(static_cast<std::size_t>(m * 8));
  for (std::int64_t j = 0; j < n; ++j)
    for (int c = 0; c < 8; ++c)
      for (std::int64_t i = 0; i < m; ++i) sketch[i * 8 + c] += matrix.numbers[i * n + j] * sign(j, c) / std::sqrt(8.0);
  return sketch;
}
inline std::vector<double> column_sketch(const Values<float>& matrix) {
  const std::int64_t m = matrix.shape[0], n = matrix.shape[1];
  std::vector<double> sketch(static_cast<std::size_t>(8 * n));
  for (std::int64_t i = 0; i < m; ++i)
    for (int c = 0; c < 8; ++c)
      for (std::int64_t j = 0; j < n; ++j) sketch[c * n + j] += matrix.numbers[i * n + j] * sign(i, c) / std::sqrt(8.0);
  return sketch;
}

/// Whether the golden's file holds the tensor whole or as sketches, it is within the tolerance, in 2-norms.
inline void expect_near_golden(const Values<float>& found, const fs::path& golden, const std::string& name,
                               double tolerance) {
  if (model::SafetensorsFile::open(golden).find(name) != nullptr) {
    const std::vector<double> numbers(found.numbers.begin(), found.numbers.end());
    EXPECT_LE(distance(numbers, read_floats(golden, name).numbers), tolerance) << name;
    return;
  }
  EXPECT_LE(distance(row_sketch(found), read_floats(golden, name + "|rows").numbers), tolerance) << name;
  EXPECT_LE(distance(column_sketch(found), read_floats(golden, name + "|columns").numbers), tolerance) << name;
}

}  // namespace attnlab::program_test

// From the figures of an axis to pixels, and the ticks on it with their texts.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::report {

/// The ratio of positive values from which an axis is logarithmic.
inline constexpr double kLogFrom = 12;

/// Linear, or logarithmic where positive values differ by much.
class ATTNLAB_API AxisScale {
 public:
  /// `values` must not be empty. Pixels may run backwards.
  AxisScale(const std::vector<double>& values, double from, double to);

  [[nodiscard]] double operator()(double value) const;
  /// Round values inside, about `count` of them; of bytes in steps of powers of two.
  [[nodiscard]] std::vector<double> ticks(int count, bool are_bytes) const;

 private:
  bool is_log_;
  double low_, high_;  // as they are put on the axis: logarithms on a logarithmic one
  double from_, to_;
};

/// What stands at the ticks: as figures are written, with as many digits as tell every tick from the others.
[[nodiscard]] ATTNLAB_API std::vector<std::string> tick_texts(const std::vector<double>& ticks,
                                                              const std::string& unit);

}  // namespace attnlab::report

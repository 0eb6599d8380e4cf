// Quantiles of Student's t for intervals of kConfidence.
#pragma once

#include <boost/math/distributions/students_t.hpp>

#include "report/statistics/statistics.h"

namespace attnlab::report {

/// Two-sided, for `intervals` of them at once (Bonferroni).
[[nodiscard]] inline double quantile_of_t(double freedom, int intervals) {
  const boost::math::students_t_distribution<double> student(freedom);
  return boost::math::quantile(boost::math::complement(student, (1 - kConfidence) / 2 / intervals));
}

}  // namespace attnlab::report

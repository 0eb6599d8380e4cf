// The numbers that a study varies, as axes of charts: of its cases (context, pairs) and of its arms (kv_heads, an
// option of a plugin). Points of one line differ in nothing else.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/read/study_layout.h"

namespace attnlab::report {

struct AxisPoint {
  double x = 0;
  std::string arm;
  CaseLayout entry;
};

struct AxisLine {
  std::string label;
  std::vector<AxisPoint> points;  // by x, each x once
};

/// One number within one workload (the cases vary, and `entry` has the workload only) or within one case (the arms
/// vary).
struct Axis {
  std::string name;
  CaseLayout entry;
  bool is_of_cases = false;
  std::vector<AxisLine> lines;  // each with at least two points
};

/// `layout` must be completed().
[[nodiscard]] ATTNLAB_API std::vector<Axis> axes(const StudyLayout& layout);

}  // namespace attnlab::report

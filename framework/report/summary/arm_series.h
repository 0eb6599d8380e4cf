// How charts tell arms apart: the shortest words for each, the curve that it is a point of, and a look that is the same
// in every chart of a report. What differs between the arms comes first; what all of them share is not said.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/read/study_layout.h"

namespace attnlab::report {

struct ArmSeries {
  std::string arm;     // its name
  std::string label;   // unique in the study: "budget=64 · h2o · int8", or the name that the experiment gives
  std::string series;  // unique among curves: "h2o · int8". Arms that share it differ in numbers only
  std::string point;   // what tells it from the others of its series, "64"; empty for one alone
  std::string varied;  // the option that `point` is of, "budget"
  int colour = 0;      // by policy; by attention, position or storage where no policy differs
  int line = 0;        // dashes and marks: tells series of one colour apart
};

/// One for each arm, in the order of the layout.
[[nodiscard]] ATTNLAB_API std::vector<ArmSeries> arm_series(const StudyLayout& layout);

}  // namespace attnlab::report

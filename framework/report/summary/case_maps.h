// Cases that two numbers tell apart, as a table: how a cache does by the length of a text and the depth of what was
// hidden in it.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/read/study_layout.h"

namespace attnlab::report {

struct CaseMap {
  std::string workload;
  std::string across, down;  // names of the numbers: of the columns and of the rows
  std::string others;  // what all cases have in common beside them: "keys 2, query before"; where the workload has
                       // several maps of these numbers, else empty
  std::vector<double> xs, ys;      // ascending, at least two of each
  std::vector<std::string> cases;  // [ys, xs] names of cases; empty where there is none

  [[nodiscard]] const std::string& at(std::size_t y, std::size_t x) const { return cases[y * xs.size() + x]; }
};

/// Workload by workload, then by the names of the numbers. A pair of numbers of which most combinations are no case is
/// no map.
[[nodiscard]] ATTNLAB_API std::vector<CaseMap> case_maps(const StudyLayout& layout);

}  // namespace attnlab::report

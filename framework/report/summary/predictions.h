// Predicted beside measured figures: a decode step takes at least as long as memory needs for its bytes and the
// arithmetic for its operations, and the constructed recall model answers the queries whose rows its cache still holds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

struct Prediction {
  std::string arm;
  CaseLayout entry;
  std::string metric, unit;  // of what was measured
  double predicted = 0, measured = 0;
  std::optional<Interval> interval;  // of what was measured
  bool is_compute_bound = false;     // operations / peak is the larger of the two bounds
  bool is_in_cache = false;  // the bytes of a step fit into the caches: memory sets no bound, and more may be measured
};

/// By metric, then in the order of the arms and cases.
[[nodiscard]] ATTNLAB_API std::vector<Prediction> predictions(const Results& results);

}  // namespace attnlab::report

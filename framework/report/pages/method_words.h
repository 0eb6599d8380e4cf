// How a study was measured and how sure its figures are, in words that are true of this study: for report.md and
// report.html.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// Paragraphs of plain text: rounds and on what they ended, warm-up, disturbances, intervals and marks, files.
[[nodiscard]] ATTNLAB_API std::vector<std::string> method(const Results& results);

}  // namespace attnlab::report

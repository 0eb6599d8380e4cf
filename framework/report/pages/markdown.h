// report.md: the question, the answer in tables, what must not be overlooked, and how it was measured.
// Every word that comes from a file or a plugin is escaped.
#pragma once

#include <string>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

[[nodiscard]] ATTNLAB_API std::string report_markdown(const Results& results);

}  // namespace attnlab::report

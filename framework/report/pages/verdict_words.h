// The verdict in words, generated from the numbers: what the terminal, report.md and report.html say first.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// At most eight sentences in plain text, without markup and without line breaks: how each arm compares with the
/// baseline, or from which to which they go where there are many, the worst case with the best; what is not significant
/// is said to be so, and what cannot be marked comes with the rounds that would do.
[[nodiscard]] ATTNLAB_API std::vector<std::string> verdict(const Results& results);

}  // namespace attnlab::report

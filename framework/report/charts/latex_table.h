// The results as a table for a paper: the figures of report.md with their intervals, in LaTeX with booktabs.
#pragma once

#include <string>
#include <string_view>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// A `table*` for every case, to be read with \input; needs the package booktabs and nothing else. Bold: the best
/// median of a column, where its difference from the baseline is more than chance or the metric is exact; an asterisk:
/// a difference from the baseline that is more than chance. Empty where no trial has ended well.
[[nodiscard]] ATTNLAB_API std::string latex_table(const Results& results);

/// A whole document around \input{table}, to look at it alone.
[[nodiscard]] ATTNLAB_API std::string latex_document();

/// Text as it may stand in a paragraph or a cell: nothing in it is a command, and what 8-bit fonts do not have is
/// written out.
[[nodiscard]] ATTNLAB_API std::string latex_text(std::string_view text);

}  // namespace attnlab::report

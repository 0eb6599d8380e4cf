// Figures and a table of a results folder for a paper.
#pragma once

#include <filesystem>
#include <vector>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// Writes every chart as NAME.svg and NAME.pdf, as wide as a column of a two-column paper, and table.tex with
/// table_alone.tex around it. Makes the folder where it is not there, and leaves alone what else is in it. Returns the
/// files in the order of writing. Error where one cannot be written, or where nothing has ended well.
ATTNLAB_API std::vector<std::filesystem::path> write_figures(const Results& results,
                                                             const std::filesystem::path& folder);

}  // namespace attnlab::report

// The table that `attnlab run` prints at its end: the headline medians and their ratios, aligned, without intervals but
// with a mark where a difference is more than chance; and the verdict in words.
#pragma once

#include <string>

#include <attnlab/api.h>

#include "report/summary/results.h"

namespace attnlab::report {

/// Plain UTF-8 text that ends in a line feed. Nothing from a file can move the cursor.
[[nodiscard]] ATTNLAB_API std::string terminal_table(const Results& results);

}  // namespace attnlab::report

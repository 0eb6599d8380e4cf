// Comma-separated values as RFC 4180 has them, except that lines end in one line feed.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::report {

/// One line with its line feed. Fields with a comma, a quote, a line break or a blank at an end are quoted.
[[nodiscard]] ATTNLAB_API std::string csv_line(const std::vector<std::string>& fields);

/// The shortest text that reads back as the same double; "nan", "inf", "-inf".
[[nodiscard]] ATTNLAB_API std::string csv_number(double value);

}  // namespace attnlab::report

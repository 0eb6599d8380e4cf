// Figures and names as people read them. Files for programs (CSV, JSON) carry full figures instead.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "report/read/study_layout.h"

namespace attnlab::report {

/// Three significant digits and a decimal prefix from a thousand on: "656", "12.3 k", "226 G".
[[nodiscard]] ATTNLAB_API std::string format_si(double value);
/// "45.6 MiB", "512 B".
[[nodiscard]] ATTNLAB_API std::string format_bytes(double bytes);
/// "1.23 ms", "45.6 µs", "12.3 s".
[[nodiscard]] ATTNLAB_API std::string format_seconds(double seconds);
/// How long a person waits: "4.2 s", "12 s", "10 min", "1 min 04 s", "1 h 02 min".
[[nodiscard]] ATTNLAB_API std::string format_duration(double seconds);
/// By the unit of a sample: "bytes", "s", "tokens/s" and "share" (percent) have their own form.
[[nodiscard]] ATTNLAB_API std::string format_value(double value, std::string_view unit);
/// "1.31 ×".
[[nodiscard]] ATTNLAB_API std::string format_ratio(double ratio);

/// "speed q512"; the workload alone where the case has no name. Where the case says what is fed as one prompt, the
/// title says which tokens are scored: "perplexity sample_context256_prefill128 (after the prompt)".
[[nodiscard]] ATTNLAB_API std::string case_title(const CaseLayout& entry);

/// Control characters, line breaks among them, become blanks: for terminals and for fields of one line.
[[nodiscard]] ATTNLAB_API std::string one_line(std::string_view text);

/// Text from a file or a plugin as plain words in Markdown: on one line, and nothing in it can be markup or HTML.
[[nodiscard]] ATTNLAB_API std::string markdown_text(std::string_view text);

/// Text as it may stand between tags and in quoted attributes.
[[nodiscard]] ATTNLAB_API std::string html_text(std::string_view text);

/// A block that shows `text` as it is; the fence is longer than any run of backticks in it.
[[nodiscard]] ATTNLAB_API std::string markdown_block(std::string_view text);

/// Columns of a terminal that the UTF-8 text takes, one per code point.
[[nodiscard]] ATTNLAB_API int terminal_width(std::string_view text);

/// Lines of equally many fields in columns; not empty. The first `left` columns and the last one stand to the left,
/// figures between them to the right.
[[nodiscard]] std::string aligned(const std::vector<std::vector<std::string>>& lines, std::size_t left);

}  // namespace attnlab::report

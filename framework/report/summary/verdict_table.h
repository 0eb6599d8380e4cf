// One table for one case: arms as rows, the metrics that a reader looks for first as columns. What is in the cells is
// decided here, once; report.md and the terminal only draw it.
#pragma once

#include <string>
#include <vector>

#include "report/read/metrics.h"
#include "report/summary/results.h"

namespace attnlab::report {

struct VerdictCell {
  std::string value;     // "12.3 k"; empty where there is none
  std::string interval;  // "[12.1 k, 12.5 k]" from 95 % on, "(12.1 k to 12.5 k)" for a range, or empty
  std::string ratio;     // "1.31 ×", empty for the baseline itself; "Δ -0.021" where there is a difference instead
  std::string ratio_interval;
  bool is_marked = false;    // more than chance: the simultaneous interval of the ratio excludes 1
  bool is_unstable = false;  // the two medians beside the ratio say something else
};

struct VerdictRow {
  std::string arm;
  std::vector<VerdictCell> cells;  // one for each column
  std::vector<std::string> notes;  // what must not be overlooked: baseline, evicted nothing, failures
};

struct VerdictTable {
  CaseLayout entry;
  std::vector<std::string> headings;  // "prefill tokens/s ↑"
  std::vector<VerdictRow> rows;
};

/// A table for every case that has a trial. Columns: standard metrics of at least `least` that some arm has, or all
/// metrics where there is no such. Arms that were refused, or have no trial in the case, have no row.
[[nodiscard]] std::vector<VerdictTable> verdict_tables(const Results& results, Headline least);

/// One comparison with another arm than the baseline.
struct FurtherLine {
  std::string reference, arm, title, heading;  // title: of the case; heading: of the metric
  VerdictCell cell;                            // without value
};

/// Metrics of at least `least`, by reference, then as the summary has them.
[[nodiscard]] std::vector<FurtherLine> further_lines(const Results& results, Headline least);

inline constexpr const char* kUnstableMark = "†";
/// What the mark means; the end of a footnote.
inline constexpr const char* kUnstableWords =
    "unstable: the quotient of the two medians lies outside the interval of the ratio, so the rounds differ too much "
    "to "
    "rely on either";

/// Strings under `key` of a trial's details: an array of strings, or one string.
[[nodiscard]] std::vector<std::string> detail_strings(const TrialResult& trial, const char* key);

}  // namespace attnlab::report

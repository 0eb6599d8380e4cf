// Two results folders side by side: the ratio B / A of every metric that both have, arms and cases matched by name.
// Samples of two runs are no pairs, so their logarithms are compared as Welch does, with intervals that hold for all
// rows of the comparison at once (Bonferroni). What is the same in every round by construction is compared exactly;
// quality window by window over the same text (recall: over the same examples) from a hundred on, so that its interval
// is that of the text.
// Trainings, and what trained weights are worth, are compared seed by seed from kLeastSeedsForMarks common seeds on
// (the latter with the interval of the text as well); with fewer, all that can be said is that they are exactly the
// same. Figures of different models or different data are never compared: the row says why (comparable_inputs.h). Not
// here: other differences between the runs; a change of the machine appears as a difference of the arms.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

#include "report/summary/results.h"

namespace attnlab::report {

enum class Change {
  none,     // exactly the same
  unclear,  // the interval holds 1, or there are too few samples for one
  better,
  worse,
  different,  // of a metric that has no better side
  not_comparable
};

struct ComparedRow {
  std::string arm;
  CaseLayout entry;
  std::string metric, unit, better;
  double a = 0, b = 0;               // medians
  int n_a = 0, n_b = 0;              // rounds and seeds
  int few_seeds = -1;                // so many common seeds, which are too few to tell; -1: they are no matter here
  bool is_exact = false;             // no noise: the same in every round by construction
  std::optional<double> ratio;       // of the geometric means; none where there is no finite or infinite one
  std::optional<Interval> interval;  // simultaneous over all rows; none for exact figures and single samples
  Change change = Change::unclear;
  std::string why_not;  // "other weights", "no verdict": why the two are not compared; then there is no ratio

  /// Worse by more than the share `beyond`, and surely so: the whole interval is beyond it. 0.05: more than 1.05 times
  /// the bytes, less than 0.95 times the tokens per second.
  [[nodiscard]] ATTNLAB_API bool is_regression(double beyond) const;
};

struct Comparison {
  std::vector<ComparedRow> rows;      // in A's order of cases, arms and metrics
  std::vector<std::string> inputs;    // which models and data are not the same, and what follows for the rows
  std::vector<std::string> warnings;  // what was not the same around them: machine, build, threads, options
  std::vector<std::string> broken;    // what ended well in A and not in B: a regression of any size
  std::vector<std::string> only_a, only_b;
  int intervals = 0;  // rows over which the intervals hold at once

  [[nodiscard]] ATTNLAB_API bool has_regression(double beyond) const;
  /// False where no row could be compared: the two folders have nothing in common.
  [[nodiscard]] ATTNLAB_API bool has_compared() const;
};

[[nodiscard]] ATTNLAB_API Comparison compare(const Results& a, const Results& b);

/// How the two sides are called in what is printed.
struct ComparedNames {
  std::string a, b;
};

/// Rows that changed, and those of headline metrics; `all`: every row.
[[nodiscard]] ATTNLAB_API std::string compare_text(const Comparison& comparison, const ComparedNames& names,
                                                   double beyond, bool all);
[[nodiscard]] ATTNLAB_API std::string compare_markdown(const Comparison& comparison, const ComparedNames& names,
                                                       double beyond, bool all);
/// Every row; NaN and infinities as strings.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json compare_json(const Comparison& comparison, const ComparedNames& names,
                                                              double beyond);

}  // namespace attnlab::report

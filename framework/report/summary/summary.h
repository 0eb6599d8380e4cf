// From the samples of all trials to one row per arm, case and metric; and both as CSV.
// Medians are over rounds; ratios to the baseline are paired by round, and their intervals hold for all arms of a
// family at once (see statistics.h). Trainings have no rounds: theirs are over seeds, and paired by seed
// (paired_seeds.h). What trained weights are worth on a text has both sources of chance: its intervals hold that of the
// text and that of the seeds, and mark nothing below kLeastSeedsForMarks seeds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/read/study_layout.h"
#include "report/read/trial_result.h"
#include "report/statistics/statistics.h"

namespace attnlab::report {

struct SummaryRow {
  std::string arm, attention, position, cache;
  std::string workload, case_name;
  std::string metric, unit, better;  // empty where the status is not ok
  Estimate estimate;                 // n: rounds that gave a value, 1 for a deterministic metric; or rounds that failed
  std::optional<Estimate> ratio;     // to the baseline arm in the same case; its interval is simultaneous
  /// Of a training's figure that has no ratio, as some values are 0 or below: mine less the baseline's.
  std::optional<Estimate> difference;
  bool is_baseline = false;  // then the ratio is 1
  bool is_marked = false;    // the simultaneous interval of the ratio excludes 1, that of a difference 0
  /// Of the two medians beside the ratio, which is no such quotient but the median of paired ratios.
  std::optional<double> quotient;
  bool is_unstable = false;            // the quotient lies outside the ratio's interval: rounds differ too much
  std::optional<Interval> over_seeds;  // the least and the greatest of the seeds' medians, from two seeds on
  bool keeps_every_row = false;        // of a quality that is measured through a cache: as it came, to the end
  bool evicted_nothing = false;        // its cache drops rows, and dropped none: no winner among those that did
  std::string no_verdict;              // why the figure is shown and compared with none; empty: it is compared
  std::string status = "ok";           // else "<status>: <reason>", on one line

  [[nodiscard]] bool is_ok() const { return status == "ok"; }
};

/// An arm against another than the baseline: what `compare_with` asks for.
struct FurtherRatio {
  std::string reference;  // an arm
  std::size_t row = 0;    // of the compared arm
  Estimate ratio;
  bool is_marked = false, is_unstable = false;
};

/// One metric of one case, compared over all arms but the baseline: what the intervals of its ratios hold for at once.
struct Family {
  std::string workload, case_name, metric;
  int arms = 0;           // comparisons: of every arm with the baseline, and with each further arm that was asked for
  int rounds = 0;         // pairs of the arm that has the most; windows of text where `is_of_text`, examples, seeds
  int rounds_needed = 0;  // more than `rounds`: nothing can be marked before
  bool is_of_text = false;
  bool is_of_examples = false;
  bool is_of_seeds = false;  // trainings, and what their weights are worth where too few of them are all that lacks

  /// What is counted in `rounds`.
  [[nodiscard]] const char* unit() const {
    return is_of_text ? "windows of text" : is_of_examples ? "examples" : is_of_seeds ? "seeds" : "rounds";
  }
  [[nodiscard]] bool can_mark() const { return rounds >= rounds_needed; }
};

struct Summary {
  std::vector<SummaryRow> rows;
  std::vector<std::string> warnings;  // what the samples themselves give away: a roof that was exceeded
  std::vector<Family> families;       // of what varies by round or by window of text, by case, then by metric
  std::vector<FurtherRatio> further;  // by reference, then by row
};

/// Rows by arm, workload, case (all in the layout's order), metric (see metrics.h). What failed is a row of its own
/// after those of the rounds that did not fail; a refused arm is one row. `layout` must be completed().
[[nodiscard]] ATTNLAB_API Summary summarise(const StudyLayout& layout, const std::vector<TrialResult>& trials);

/// "failed: killed by signal 9", on one line; "ok" where it is.
[[nodiscard]] std::string status_text(const TrialResult& trial);

/// Columns: arm, attention, position, cache, workload, case, metric, unit, better, n, median, ci_low, ci_high,
/// baseline_ratio, ratio_low, ratio_high, status. Intervals: see statistics.h, sign_flips.h and block_bootstrap.h; from
/// n = 6 rounds 95 %, below the range; for what counts once from 100 windows of text on, else empty. Doubles in full.
[[nodiscard]] ATTNLAB_API std::string summary_csv(const Summary& summary);

/// One line for every ratio, those to the baseline first: arm, compared_with, workload, case, metric, unit, better, n,
/// ratio, ratio_low, ratio_high, marked, unstable. Intervals hold for all lines of a case and metric at once.
[[nodiscard]] ATTNLAB_API std::string comparisons_csv(const StudyLayout& layout, const Summary& summary);

/// One line per sample, in the order of the layout, then by round and seed; a trial without samples is one line with
/// its status. What a trial says of every window of its text, or of every example, follows: one line a window, with its
/// number from 0 and its counted tokens; the value is the sum over them, so that sums of values over sums of tokens are
/// the sample. Columns: arm, attention, position, cache, workload, case, round, seed, metric, unit, better, value,
/// status, window, tokens (the last two empty for samples).
[[nodiscard]] ATTNLAB_API std::string samples_csv(const StudyLayout& layout, const std::vector<TrialResult>& trials);

}  // namespace attnlab::report

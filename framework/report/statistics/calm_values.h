// Winsorises measurements before arms are compared: a single trial that was disturbed by another process would
// otherwise determine the width of an interval.
// What a round and what an arm have in common is taken out first (median polish, Tukey 1977); of what is left, all that
// is more than 2.7 robust standard deviations away counts as that far. The deviation is that of the arm or of all arms
// together, whichever is more: few rounds of one arm may agree by chance.
// Not here: rounds that were disturbed as a whole. Those cancel in the ratios.
#pragma once

#include <span>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::report {

struct CalmedArm {
  std::vector<double> values;  // as they were given, but for those that were pulled in; NaN stays
  int pulled = 0;              // how many were
};

/// One entry for each arm, the baseline among them: its logarithm in each round, NaN where it has none.
[[nodiscard]] ATTNLAB_API std::vector<CalmedArm> calmed(std::span<const std::vector<double>> arms);

/// How much wider an interval from `rounds` pairs must be of whose 2 * rounds values so many were pulled in: they do
/// not count in full, so the error grows with the square root of what is left, and the quantile of t a little as well.
/// A little where none was: see the proof of the statistics.
[[nodiscard]] ATTNLAB_API double widening(int rounds, int pulled);

}  // namespace attnlab::report

// Intervals of ratios from the slices of a few rounds, by Student's t: for a quick look, where there are too few rounds
// for one over rounds. Arms that took turns did equal parts of their work one after the other, so the logarithms of two
// arms' slices of one lap are a pair. The fastest and the slowest fifth of the pairs are drawn in, as a slice that
// something else hit says nothing of the arms (Tukey & McLaughlin 1963). Where the rounds differ by more than their
// slices explain, that is the error.
// What differs between processes alone, and not between their slices, is only in it from two rounds on: the interval of
// one round is made a fifth wider for it.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/statistics/paired_ratios.h"

namespace attnlab::report {

/// Of one arm in one round.
struct Slices {
  std::string together;         // equal in arms that took turns with each other
  std::vector<double> seconds;  // in the order of time
};

using RoundSlices = std::map<PairKey, Slices>;

/// Fewer pairs of slices give no interval.
inline constexpr int kLeastSlices = 5;

/// The interval about `ratio`, how many times as fast the arm is, that holds for `comparisons` ratios at once. Nothing
/// where the arms have not enough slices that were measured in turns.
[[nodiscard]] ATTNLAB_API std::optional<Interval> slice_interval(const RoundSlices& arm, const RoundSlices& reference,
                                                                 double ratio, int comparisons);

}  // namespace attnlab::report

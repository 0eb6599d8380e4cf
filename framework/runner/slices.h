// How timed work of several arms is cut into slices, and how much of it there is to be: enough that what is left of the
// machine's noise in a round is small.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "workloads/turns.h"

namespace attnlab::experiment {

inline constexpr double kSliceSeconds = 0.03;      // of the arms' mean
inline constexpr double kLongPassSeconds = 0.02;   // a pass of any arm that takes longer is cut between layers, in all
inline constexpr double kLeastTimedSeconds = 0.3;  // of the arms' mean
inline constexpr double kMostTimedSeconds = 2.5;   // where no repeat takes longer, with what is not timed of it,
inline constexpr double kMostSecondsOfAll = 10;    // and of all arms together; they have their least in any case
inline constexpr double kErrorWanted = 0.006;      // of the ratio of two arms, from one round's slices
inline constexpr std::size_t kLeastLaps = 5;       // fewer do not tell how sure a ratio is

/// The same for all arms: a slice is one run of the work or several, or an equal part of one. `most_seconds`: of an
/// arm, where no repeat takes longer.
[[nodiscard]] ATTNLAB_API TurnPlan first_plan(std::span<const TimedWork> works,
                                              double most_seconds = kMostTimedSeconds);

/// More of the same where the ratios are not as sure as is wanted and the arms have not had their most seconds; else
/// the plan itself. slices [arms][parts so far]: seconds; arms without any have ended. `untimed`: seconds of a repeat
/// that are not in its slices, of the arm that has the most.
[[nodiscard]] ATTNLAB_API TurnPlan grown(const TurnPlan& plan, std::span<const std::vector<double>> slices,
                                         double untimed = 0, double most_seconds = kMostTimedSeconds);

/// Seconds of each arm's work, once, from all slices of a plan; 0 of an arm without any. What all arms had in common in
/// a lap is taken out of its slices (their median) before the fastest and the slowest fifth of those of the same work
/// are left out: what hits a slice now and then is not the arm's own, since that comes back in every repeat.
[[nodiscard]] ATTNLAB_API std::vector<double> seconds_once(const TurnPlan& plan,
                                                           std::span<const std::vector<double>> slices);

/// The standard error of the ratio of two arms, as a share, from slices that were measured in turns. Infinite where
/// there are too few laps to tell, 0 of one arm.
[[nodiscard]] ATTNLAB_API double error_of_ratios(const TurnPlan& plan, std::span<const std::vector<double>> slices);

}  // namespace attnlab::experiment

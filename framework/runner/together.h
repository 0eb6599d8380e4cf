// Which arms of a round are measured together, in turns (turns_of_arms.cpp): as many as memory holds at once.
#pragma once

#include <cstddef>
#include <span>

#include <attnlab/api.h>

#include "runner/trial_runner.h"

namespace attnlab::experiment {

/// How many of the tasks, from the first on; at least one, 64 at most. One where the study takes no turns, or nothing
/// of the first is timed.
[[nodiscard]] ATTNLAB_API std::size_t measured_together(const Plan& plan, std::span<const ProcessTask> tasks);

}  // namespace attnlab::experiment

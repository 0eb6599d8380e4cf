// The slices of a trial that was measured in turns with the other arms of its round.
#pragma once

#include <optional>
#include <string_view>

#include "report/read/trial_result.h"
#include "report/statistics/slice_intervals.h"

namespace attnlab::report {

/// Those that the metric is made of, from `slices` of the trial's details; nothing where it has none.
[[nodiscard]] std::optional<Slices> slices_of(const TrialResult& trial, std::string_view metric);

}  // namespace attnlab::report

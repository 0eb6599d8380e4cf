// Adaptive repeats: whether the rounds that were run are enough.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <attnlab/api.h>

#include "report/read/trial_result.h"
#include "study/plan.h"

namespace attnlab::experiment {

/// After `rounds` rounds of a study whose number of rounds is left to the samples: the sentence on what they ended;
/// none where more are to be run. `results`: by trial id.
[[nodiscard]] ATTNLAB_API std::optional<std::string> enough_rounds(
    const Plan& plan, const std::map<std::string, report::TrialResult>& results, int rounds);

}  // namespace attnlab::experiment

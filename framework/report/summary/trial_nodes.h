// Trials of a study that ran on several machines (details "node": {"name", "kind", "together"}): speeds are compared
// within a round, whose trials ran on one machine, and rounds are put together where their machines have the same CPU.
#pragma once

#include <string>
#include <vector>

#include <attnlab/api.h>

#include "report/read/trial_result.h"

namespace attnlab::report {

/// Leaves out trials of rounds that cannot be set beside the others: of a round those of another run of it than most
/// ("together"), and of a case the rounds on other kinds of CPU than most. Trainings on different kinds lose their
/// speeds. Returns a sentence for each.
[[nodiscard]] ATTNLAB_API std::vector<std::string> leave_out_other_nodes(std::vector<TrialResult>& trials);

}  // namespace attnlab::report

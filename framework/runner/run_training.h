// A training of a study, inside its process: what it leaves in the results folder, and its figures.
#pragma once

#include <filesystem>

#include "study/plan.h"
#include "workloads/measured.h"

namespace attnlab::experiment {

/// Trains, or goes on from the state that is kept in the folder. Of one that diverges, `details` hold "diverged" (a
/// sentence), and there are no samples. Error where a file cannot be written.
[[nodiscard]] Measured run_training(const Plan& plan, const PlannedTraining& training,
                                    const std::filesystem::path& results);

}  // namespace attnlab::experiment

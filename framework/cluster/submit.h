// Units that are handed to Slurm.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/submission.h"
#include "cluster/unit.h"
#include "study/plan.h"

namespace attnlab::cluster {

/// Writes the submission and submits its arrays; what is once done and rounds wait for any end of `before` (job ids),
/// too. Error where Slurm refuses an array: those before it are ended again.
[[nodiscard]] Submission submit_units(const experiment::Plan& plan, const StudyUnits& study,
                                      const std::filesystem::path& results, int number, std::vector<Unit> units,
                                      const std::vector<std::string>& before);

}  // namespace attnlab::cluster

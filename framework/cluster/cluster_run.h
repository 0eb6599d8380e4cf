// A study whose trials are jobs of a Slurm cluster: submits them, watches them, and writes the reports, as
// runner/runner.h does of a study on this machine.
#pragma once

#include <filesystem>
#include <optional>

#include <attnlab/api.h>

#include "cluster/submission.h"
#include "runner/runner.h"

namespace attnlab::cluster {

/// The plan's study, called as `study` says. With `attach` the folder is that of a study that was submitted.
/// Error where the folder or Slurm cannot be used.
[[nodiscard]] ATTNLAB_API experiment::RunOutcome run_on_cluster(const experiment::Plan& plan,
                                                                const experiment::RunOptions& options,
                                                                const SubmittedStudy& study);

/// Error where jobs of a cluster are still at work for a folder that this machine is to go on with.
ATTNLAB_API void refuse_live_jobs(const std::filesystem::path& results);

/// "slurm: 12 job arrays with 203 jobs", for --dry-run.
[[nodiscard]] ATTNLAB_API std::string describe_jobs(const experiment::Plan& plan);

}  // namespace attnlab::cluster

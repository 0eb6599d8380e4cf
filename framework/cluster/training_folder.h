// Where a job trains: in a folder of its own, since a job that Slurm has given up may go on beside the one that was
// started in its place. What is whole moves to where the study's trainings are, its record last.
//   jobs/<n>/trainings/<id>.<job>/    training/ and weights/, as in a results folder
#pragma once

#include <filesystem>
#include <string>

#include <attnlab/api.h>

namespace attnlab::cluster {

/// Makes the job's folder, with a copy of what the job that came furthest with this training has kept, in any
/// submission.
[[nodiscard]] ATTNLAB_API std::filesystem::path begin_training(const std::filesystem::path& results, int submission,
                                                               const std::string& id, const std::string& job);

/// Moves the weights, the curves and the record, and removes the folders of all jobs with this training. Where another
/// job was first, its files stay. Error where a file cannot be moved.
ATTNLAB_API void end_training(const std::filesystem::path& results, const std::string& id,
                              const std::filesystem::path& own);

}  // namespace attnlab::cluster

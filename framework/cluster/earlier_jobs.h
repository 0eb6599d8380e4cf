// What is left of the jobs that were submitted before, for who resumes a study.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include <attnlab/api.h>

#include "cluster/slurm.h"
#include "cluster/submission.h"

namespace attnlab::cluster {

/// The names of the files <name>.json in a folder; empty where there is no such folder. Those being written are left
/// out.
[[nodiscard]] std::vector<std::string> stems_in(const std::filesystem::path& folder);

/// The jobs as Slurm and the folder `trials` had them at the time of the constructor. Jobs go on leaving results
/// meanwhile, so Slurm is asked first, then this is made, and only then are results read: a trial that is not among
/// those read, and was not in the folder either, is on its way if its job was there.
class ATTNLAB_API EarlierJobs {
 public:
  EarlierJobs(const std::vector<JobState>& states, const std::filesystem::path& trials);

  /// Whether results of the unit are still to come from the job that it had in the submission. `trials`: the ids of all
  /// that the unit leaves; it is known that not all of them are there and good. A job that has ended well and left a
  /// row of each has nothing more to leave.
  [[nodiscard]] bool will_leave_more(const Submission& submission, std::size_t unit,
                                     const std::vector<std::string>& trials) const;

 private:
  std::set<std::string> alive_, completed_;  // "<array name> <element>"
  std::unordered_set<std::string> listed_;
};

/// The states of all jobs of the submissions; Error where Slurm does not say.
[[nodiscard]] std::vector<JobState> states_of_all(const std::vector<Submission>& submissions);

}  // namespace attnlab::cluster

// Slurm's own commands, and what they print. Nothing here knows what a job does. What is asked of Slurm is in its
// manual pages sbatch(1), squeue(1), scancel(1), sacct(1); written against version 22.05.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::cluster {

/// What Slurm says of one element of a job array.
struct JobState {
  std::string name = {};   // of the array
  std::string array = {};  // its job id
  int task = 0;
  std::string state = {};   // PENDING, RUNNING, COMPLETED, OUT_OF_MEMORY ...
  std::string reason = {};  // "None" where there is none
  std::string node = {};    // empty before it has one

  /// It runs, or will.
  [[nodiscard]] ATTNLAB_API bool is_alive() const;
  [[nodiscard]] bool is_running() const { return state == "RUNNING" || state == "COMPLETING"; }
  /// "OUT_OF_MEMORY in job 12_3 on node7 (reason)"
  [[nodiscard]] ATTNLAB_API std::string words() const;

  friend bool operator==(const JobState&, const JobState&) = default;
};

/// Lines of squeue in the format that states_of asks for; elements that wait are one line together. Lines that are none
/// are left out.
[[nodiscard]] ATTNLAB_API std::vector<JobState> parse_states(const std::string& lines);
/// Lines of sacct in the format that history_of asks for; `names`: of the arrays by their job ids.
[[nodiscard]] ATTNLAB_API std::vector<JobState> parse_history(const std::string& lines);

/// The words behind `sbatch`; returns the job id. Error with what sbatch says.
[[nodiscard]] std::string submit(std::vector<std::string> words);

/// Of all elements of the arrays with these names that Slurm still knows: those that have ended it forgets after some
/// minutes. None where it does not answer.
[[nodiscard]] std::optional<std::vector<JobState>> states_of(const std::vector<std::string>& names);

/// The same from the accounts, where the cluster keeps any; without names.
[[nodiscard]] std::vector<JobState> history_of(const std::vector<std::string>& arrays);

/// Ends all elements. What is over already is no error.
void cancel(const std::vector<std::string>& arrays);

/// Most elements of an array. Error where Slurm is not there, or does not answer.
[[nodiscard]] int max_array_size();

}  // namespace attnlab::cluster

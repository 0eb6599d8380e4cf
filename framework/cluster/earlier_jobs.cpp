#include "cluster/earlier_jobs.h"

#include <algorithm>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include <attnlab/error.h>

namespace attnlab::cluster {
namespace fs = std::filesystem;

std::vector<std::string> stems_in(const fs::path& folder) {
  std::vector<std::string> stems;
  std::error_code none;
  for (fs::directory_iterator entry(folder, none), end; !none && entry != end; entry.increment(none))
    if (entry->path().extension() == ".json" && !entry->path().filename().string().starts_with('.'))
      stems.push_back(entry->path().stem().string());
  return stems;
}

EarlierJobs::EarlierJobs(const std::vector<JobState>& states, const fs::path& trials) {
  for (const JobState& state : states) {
    const std::string element = fmt::format("{} {}", state.name, state.task);
    if (state.is_alive())
      alive_.insert(element);
    else if (state.state == "COMPLETED")
      completed_.insert(element);
  }
  for (std::string& name : stems_in(trials)) listed_.insert(std::move(name));
}

bool EarlierJobs::will_leave_more(const Submission& submission, std::size_t unit,
                                  const std::vector<std::string>& trials) const {
  const SubmittedArray* const array = array_of(submission, unit);
  if (array == nullptr) return false;
  const std::string element =
      fmt::format("{} {}", array->name, array->first_task + static_cast<int>(unit - array->first));
  if (alive_.contains(element)) return true;
  if (!completed_.contains(element)) return false;
  const auto is_listed = [&](const std::string& id) { return listed_.contains(id); };
  return trials.empty() || !std::ranges::all_of(trials, is_listed);
}

std::vector<JobState> states_of_all(const std::vector<Submission>& submissions) {
  std::vector<std::string> names;
  for (const Submission& submission : submissions)
    for (const SubmittedArray& array : submission.arrays) names.push_back(array.name);
  std::optional<std::vector<JobState>> states = states_of(names);
  if (!states)
    throw Error("squeue", "Slurm does not say which jobs of the study are still there",
                "go on when it answers: else work would be done twice");
  return *std::move(states);
}

}  // namespace attnlab::cluster

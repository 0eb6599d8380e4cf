#include "cluster/submit.h"

#include <random>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "cluster/job_arrays.h"
#include "cluster/slurm.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

using experiment::Plan;
using experiment::SlurmChoice;

std::vector<std::string> words_of(const SlurmChoice& choice, const JobArray& array, const SubmittedArray& submitted,
                                  const fs::path& folder, const std::string& dependency) {
  std::vector<std::string> words{"--job-name=" + submitted.name,
                                 fmt::format("--array={}-{}{}", array.first_task, array.first_task + array.count - 1,
                                             choice.array > 0 ? fmt::format("%{}", choice.array) : ""),
                                 "--nodes=1",
                                 "--ntasks=1",
                                 fmt::format("--cpus-per-task={}", choice.cpus),
                                 "--output=" + (folder / "logs" / "%A_%a.log").string(),
                                 "--open-mode=append",
                                 "--requeue"};
  if (!dependency.empty()) {
    words.push_back("--dependency=" + dependency);
    words.emplace_back("--kill-on-invalid-dep=yes");
  }
  for (const auto& [option, value] :
       {std::pair{"--partition=", &choice.partition}, std::pair{"--account=", &choice.account},
        std::pair{"--constraint=", &choice.constraint}, std::pair{"--time=", &choice.time}})
    if (!value->empty()) words.push_back(option + *value);
  constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
  if (choice.memory > 0)
    words.push_back(fmt::format("--mem={}M", (choice.memory + kMebibyte - 1) / kMebibyte));
  else if (array.kind == UnitKind::round)
    words.emplace_back("--mem=0");  // all of the node's
  // Nobody else is on the node while arms are set side by side.
  if (array.kind == UnitKind::round) words.emplace_back("--exclusive");
  words.push_back((folder / "job.sh").string());
  words.push_back(std::to_string(static_cast<std::int64_t>(array.first) - array.first_task));
  return words;
}

std::string token() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

}  // namespace

Submission submit_units(const Plan& plan, const StudyUnits& study, const fs::path& results, int number,
                        std::vector<Unit> units, const std::vector<std::string>& before) {
  Submission submission{.number = number, .units = std::move(units), .arrays = {}};
  const std::vector<JobArray> arrays = job_arrays(plan, study, submission.units, max_array_size());
  const std::string name = fmt::format("attnlab-{}", token());
  for (const JobArray& array : arrays)
    submission.arrays.push_back({.name = fmt::format("{}-{}", name, submission.arrays.size()),
                                 .job = {},
                                 .first = array.first,
                                 .count = array.count,
                                 .first_task = array.first_task});
  // Once: the file may be replaced while this runs.
  static const fs::path program = fs::read_symlink("/proc/self/exe");
  write_submission(results, submission, program, plan.spec.slurm->setup);
  std::vector<std::string> ids;
  try {
    for (std::size_t index = 0; index < arrays.size(); ++index) {
      std::string dependency = dependency_text(arrays[index].needs, ids);
      if (arrays[index].kind != UnitKind::training)
        for (const std::string& job : before) dependency += (dependency.empty() ? "" : ",") + ("afterany:" + job);
      ids.push_back(submit(words_of(*plan.spec.slurm, arrays[index], submission.arrays[index],
                                    submission_folder(results, number), dependency)));
      submission.arrays[index].job = ids.back();
      write_arrays(results, submission);
    }
  } catch (...) {
    cancel(ids);
    throw;
  }
  return submission;
}

}  // namespace attnlab::cluster

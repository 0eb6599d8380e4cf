// What a study on a cluster keeps in its results folder, below jobs/, so that jobs and later watchers need nothing
// else:
//   jobs/<n>/study.json    SubmittedStudy: how the study was called, and the text of its files as they were
//   jobs/<n>/job.sh        what Slurm runs: `attnlab job` with the number of a unit
//   jobs/<n>/units.jsonl   the units of submission n, lines of equal length
//   jobs/<n>/arrays.json   its job arrays; written before they are submitted, and again after each
//   jobs/<n>/logs/         what jobs wrote, <array>_<element>.log
//   jobs/<n>/trainings/    where jobs train (training_folder.h)
//   jobs/<n>/rounds/<r>/   what round r left once it is whole (round_folder.h)
//   nodes/<name>.json      the machine of each node, see environment.h
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "cluster/unit.h"
#include "config/include.h"
#include "study/plan.h"

namespace attnlab::cluster {

/// A study as it was called.
struct SubmittedStudy {
  std::filesystem::path file;            // the experiment, as it was named
  std::filesystem::path working_folder;  // where it was called: what paths are relative to
  experiment::PlanOptions options;       // without `texts` and `arms`
  config::FileTexts texts;               // of the experiment and what it includes
  std::string identity;                  // of the plan
};

void write_study(const std::filesystem::path& results, int submission, const SubmittedStudy& study);
/// None where there is no such submission; Error where the file is damaged.
[[nodiscard]] std::optional<SubmittedStudy> read_study(const std::filesystem::path& results, int submission);

/// How many there are.
[[nodiscard]] int count_submissions(const std::filesystem::path& results);

struct SubmittedArray {
  std::string name;  // in Slurm
  std::string job;   // its id; empty: not submitted, or the watcher died just then
  std::size_t first = 0;
  int count = 0, first_task = 0;

  friend bool operator==(const SubmittedArray&, const SubmittedArray&) = default;
};

struct Submission {
  int number = 0;
  std::vector<Unit> units;
  std::vector<SubmittedArray> arrays;
};

/// The array of a unit; null pointer where there is none. Arrays stand in the order of their units.
[[nodiscard]] const SubmittedArray* array_of(const Submission& submission, std::size_t unit);

[[nodiscard]] std::filesystem::path submission_folder(const std::filesystem::path& results, int number);

/// Units and script of a new submission. `program`: the AttnLab that jobs run; `setup`: shell lines before it.
void write_submission(const std::filesystem::path& results, const Submission& submission,
                      const std::filesystem::path& program, const std::string& setup);
void write_arrays(const std::filesystem::path& results, const Submission& submission);

/// All that were made, in their order. Error where one is damaged.
[[nodiscard]] std::vector<Submission> read_submissions(const std::filesystem::path& results);

/// One unit, without the others. Error where there is none.
[[nodiscard]] Unit read_unit(const std::filesystem::path& results, int submission, std::size_t index);

}  // namespace attnlab::cluster

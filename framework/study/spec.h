// An experiment as its YAML says it, checked as far as a file can be checked: every problem at once, each with its
// place. In two steps, because the plugins that the file names must be loaded, and the model that it names must be
// looked at, before options can be checked:
//   SpecDocument document = open_spec(path, overrides);
//   Registry registry = Registry::standard(document.plugin_paths());
//   ExperimentSpec spec = read_spec(document, lookup_in(registry), defaults_of(document.model));
// Not here: whether arms are sound, and what they become with the model's own values (the plan).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "config/include.h"
#include "config/node.h"
#include "config/problem_list.h"
#include "study/arms.h"
#include "study/slurm_choice.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

/// A path that the experiment names, as the program opens it, and where it is named.
struct NamedPath {
  std::filesystem::path path;
  config::Mark where;
};

struct ATTNLAB_API SpecDocument {
  std::filesystem::path file;
  config::Node root;
  NamedPath model;          // a folder or a YAML file; the path is empty where `problems` says why
  std::string constructed;  // the name of a model that code makes; then the path is empty too
  std::vector<NamedPath> plugins;
  std::vector<std::string> warnings;
  config::ProblemList problems;  // found so far; the caller may add what is wrong with the model or a plugin

  [[nodiscard]] std::vector<std::filesystem::path> plugin_paths() const;
};

/// Paired rounds: every round runs every arm once. Fixed where min equals max.
struct Repeats {
  int min = 7;
  int max = 7;
  double until = 0;  // stop after `min` once every interval of interest is this narrow, as a share; 0: fixed

  bool operator==(const Repeats&) const = default;
};

/// What one trial may take.
struct Limits {
  double seconds = 0;        // 0: as the plan has it (PlannedCase::limit_seconds)
  std::uint64_t memory = 0;  // bytes; 0: no limit

  bool operator==(const Limits&) const = default;
};

struct ATTNLAB_API ExperimentSpec {
  std::filesystem::path file;
  std::string name;  // a folder of this name can be made
  std::string question;
  NamedPath model;
  std::string constructed;  // as in SpecDocument
  std::vector<NamedPath> plugins;
  std::vector<std::int64_t> seeds = {1};
  std::int64_t seed = 1;  // the first of them
  int threads = 0;        // 0: all cores
  Repeats repeats;
  bool interleave = true;  // arms of a round take turns where memory holds them at once
  int warmup = 1;          // at most so many rounds are run and discarded before the first
  Limits limits;
  std::optional<SlurmChoice> slurm;  // none: trials run on this machine
  bool stops_on_error = false;       // the first trial that is not ok ends the run
  bool allow_nonfinite = false;      // take weights that hold NaN or Inf
  config::Node train;                // as it was written; null: nothing is trained
  std::vector<Arm> arms;
  std::size_t baseline = 0;               // index of an arm
  bool declares_baseline = false;         // else it is the first arm
  std::vector<std::size_t> compare_with;  // further arms that all are compared with, without the baseline
  std::vector<ChosenWorkload> workloads;

  /// Keeps the arms of these names, and the baseline, which stays what it is. Error naming one that is not there.
  void keep_named(const std::vector<std::string>& names);

  /// Keeps the arms whose whole name or tag the glob matches (`--only`), and the baseline where one is declared: what
  /// the others are compared with is never another arm. Returns what a reader must know of the baseline then; empty:
  /// nothing. Error if the glob matches no arm.
  [[nodiscard]] std::string keep_only(const std::string& glob);
};

/// `--launcher`: what the experiment says, or in its place this machine, or Slurm (with what the experiment says of
/// it).
enum class Launcher : std::uint8_t { as_written, local, slurm };

/// Reads the YAML, applies the overrides (`a.b=c`) in their order, and finds the model and the plugins. Throws where
/// there is no YAML or an override is wrong; the rest waits in `problems`. `texts`: see config/include.h.
[[nodiscard]] ATTNLAB_API SpecDocument open_spec(const std::filesystem::path& file,
                                                 const std::vector<std::string>& overrides = {},
                                                 config::FileTexts* texts = nullptr);

/// Error with all problems, those of the document included.
[[nodiscard]] ATTNLAB_API ExperimentSpec read_spec(const SpecDocument& document, const ComponentLookup& lookup,
                                                   const ArmDefaults& defaults = {});

}  // namespace attnlab::experiment

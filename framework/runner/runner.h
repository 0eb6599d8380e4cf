// Runs a plan: what never changes once, the baseline first; then warm-up and paired rounds, every arm once a round in
// shuffled order, each in a process of its own; then the reports.
#pragma once

#include <filesystem>

#include <attnlab/api.h>

#include "study/plan.h"

namespace attnlab::experiment {

struct RunOptions {
  std::filesystem::path folder;  // empty: results/<name>/<time>, or the newest of these where the run goes on
  bool dry_run = false;
  bool resume = false;  // trials that are in the folder and went well are not run again
  bool attach = false;  // watches the jobs of a study on a cluster that was started before; submits no unit again
  bool quiet = false;   // prints the path of the report, and what went wrong on stderr
};

struct RunOutcome {
  bool all_well = true;  // every trial that was not refused and was run; exit code 0, else 1
  int interrupted = 0;   // the signal that ended the run early
};

/// Error where the folder cannot be used.
[[nodiscard]] ATTNLAB_API RunOutcome run(const Plan& plan, const RunOptions& options);

}  // namespace attnlab::experiment

// Runs a plan: paired rounds, every arm once a round in shuffled order, each trial in its arm's process, each result in
// a file of its own; then the reports.
#pragma once

#include <filesystem>

#include <attnlab/api.h>

#include "experiment/plan.h"

namespace attnlab::experiment {

struct RunOptions {
  std::filesystem::path folder;  // empty: results/<name>/<time>
  bool dry_run = false;
  bool resume = false;  // trials that are in the folder and went well are not run again
};

/// True if every trial that was not refused went well. Error where the folder cannot be used.
[[nodiscard]] ATTNLAB_API bool run(const Plan& plan, const RunOptions& options);

}  // namespace attnlab::experiment

// A results folder as a whole: what is read from it, and the files that are rebuilt from what was read.
// Needs environment.json (with the key "study") and trials/; never the experiment, the model or the machine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json.hpp>

#include "report/study_layout.h"
#include "report/summary.h"
#include "report/trial_result.h"

namespace attnlab::report {

struct Results {
  nlohmann::json environment;  // environment.json, without the run's own time: it ends behind the reports
  StudyLayout layout;          // completed()
  std::vector<TrialResult> trials;
  Summary summary;
};

/// Throws Error naming what is missing or damaged. `baseline`: the arm that all ratios are to, where it is not to be
/// the run's own; Error where it was not run.
[[nodiscard]] ATTNLAB_API Results read_results(const std::filesystem::path& results_folder,
                                               const std::string& baseline = "");

/// Reads the folder and writes samples.csv, summary.csv, comparisons.csv, charts/*.svg, report.md and report.html, each
/// atomically. What `attnlab report DIR` does. Returns what it read.
ATTNLAB_API Results write_reports(const std::filesystem::path& results_folder, const std::string& baseline = "");

}  // namespace attnlab::report

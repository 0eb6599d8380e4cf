// What a results folder holds, read as a whole: the study, its trials, and their summary.
// Needs environment.json (with the key "study") and trials/; never the experiment, the model or the machine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json.hpp>

#include "report/read/study_layout.h"
#include "report/read/trial_result.h"
#include "report/summary/summary.h"
#include "report/summary/trainings.h"

namespace attnlab::report {

struct Results {
  nlohmann::json environment;  // environment.json, without the run's own time: it ends after the reports
  StudyLayout layout;          // completed()
  std::vector<TrialResult> trials;
  Summary summary;
  Trainings trainings;
};

/// Throws Error naming what is missing or damaged. `baseline`: the arm that all ratios are to, where it is not to be
/// the run's own; Error where it was not run.
[[nodiscard]] ATTNLAB_API Results read_results(const std::filesystem::path& results_folder,
                                               const std::string& baseline = "");

}  // namespace attnlab::report

// A plan as reports know it: names, axes and the ids of its trials, without the plan's own types.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/read/study_layout.h"
#include "study/plan.h"

namespace attnlab::experiment {

/// The layout of the study with so many rounds: all ids of the arms that run; one for a case that an arm is refused in.
[[nodiscard]] report::StudyLayout layout_of(const Plan& plan, int rounds);

/// The files of all plugins that the arms are made of.
[[nodiscard]] std::vector<std::filesystem::path> plugin_files(const Plan& plan);

/// What a resumed run has to say of an experiment that changed: one line for each arm that is new, gone, or another
/// under the old name.
[[nodiscard]] ATTNLAB_API std::vector<std::string> changes(const report::StudyLayout& before,
                                                           const report::StudyLayout& now);

}  // namespace attnlab::experiment

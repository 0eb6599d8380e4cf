// environment.json of a study that ran on several machines.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "machine/environment.h"
#include "report/read/trial_result.h"
#include "study/plan.h"

namespace attnlab::cluster {

/// The machine that most rounds ran on stands for the study, with the roofs of its kind; "nodes" names all, with their
/// kinds and what they did. `here`: this machine, in its place until a node is known.
[[nodiscard]] nlohmann::json environment_of(const experiment::Plan& plan, const std::filesystem::path& results,
                                            const experiment::Environment& here,
                                            const std::map<std::string, report::TrialResult>& trials, int submissions);

}  // namespace attnlab::cluster

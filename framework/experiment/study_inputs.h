// Model and data of a plan as results folders name them: readable, and with hashes that are the same on every machine.
#pragma once

#include <map>
#include <string>

#include "experiment/plan.h"
#include "report/study_inputs.h"

namespace attnlab::experiment {

/// Reads every file of the model once.
[[nodiscard]] report::ModelIdentity model_identity(const Plan& plan);

/// What the case is measured on and its names do not tell: see CaseLayout::data.
[[nodiscard]] std::map<std::string, std::string> case_data(const Plan& plan, const PlannedCase& planned);

}  // namespace attnlab::experiment

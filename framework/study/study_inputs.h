// The model of a plan as results folders name it: readable, and with hashes that are the same on every machine.
#pragma once

#include "report/read/study_inputs.h"
#include "study/plan.h"

namespace attnlab::experiment {

/// Reads every file of the model once.
[[nodiscard]] report::ModelIdentity model_identity(const Plan& plan);

}  // namespace attnlab::experiment

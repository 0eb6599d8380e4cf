// The constructed recall model's weights are set by hand for softmax attention with its own head counts and rope; with
// other components the model does not recall. Finds such components.
#pragma once

#include <string>

#include <attnlab/api.h>

#include "assembly/arm_model.h"

namespace attnlab::experiment {

/// Why the constructed recall model's weights do not do their work with the arm's components; empty where they do.
[[nodiscard]] ATTNLAB_API std::string recall_conflict(const ResolvedArm& arm, const model::ModelConfig& config);

}  // namespace attnlab::experiment

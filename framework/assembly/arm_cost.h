// The operations and bytes of an arm's model, counted from the shapes of its weights and caches before anything runs.
#pragma once

#include <attnlab/api.h>

#include "assembly/arm_model.h"
#include "model/decoder.h"

namespace attnlab::experiment {

/// What one forward pass of the arm's model has to do, for estimates before anything runs.
struct ArmCost {
  double layer_weights = 0;  // every token is multiplied with them
  double head_weights = 0;
  double weight_bytes_read = 0;  // by one decode step
  double pair_width = 0;   // components that a query and a key before it are multiplied over, all layers and heads
  double row_bytes = 0;    // of one token in the caches of all layers, as the storages hold it
  double state_bytes = 0;  // of one sequence, beside its rows
};

/// `session`: one of the decoder's, for the shapes of its rows.
[[nodiscard]] ArmCost cost_of(const ResolvedArm& arm, const model::Decoder& decoder, const model::Session& session);

}  // namespace attnlab::experiment

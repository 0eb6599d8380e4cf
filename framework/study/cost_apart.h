// The cost of an arm's passes, counted in a process of its own: counting runs the arm's model, and a plugin may crash
// or hang in its first pass, which must not end the plan of the other arms.
#pragma once

#include "assembly/arm_cost.h"

namespace attnlab::experiment {

/// As cost_of. Where the passes fail, only the bytes of a row are known; the arm's trials will find the fault and say
/// what it is. To be called while no threads run.
[[nodiscard]] ArmCost cost_apart(model::Decoder& decoder, int length);

}  // namespace attnlab::experiment

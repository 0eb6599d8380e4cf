// The attention core by itself, called directly: no plugin, no cache policy, no projections. What the same work costs
// through plugins is compared with it.
#pragma once

#include "bench/kernel.h"

namespace attnlab::bench {

/// prefill: causal softmax attention of a whole prompt over f32 rows. backward: its derivative, of whose operations
/// those of the scores, which are computed again, are not counted.
[[nodiscard]] std::unique_ptr<Kernel> make_core_kernel(const Entry& entry);

}  // namespace attnlab::bench

// `train:` of an arm: that of the experiment, with the keys that the arm has otherwise.
#pragma once

#include <attnlab/api.h>

#include "config/node.h"

namespace attnlab::experiment {

/// Key by key: what the arm does not name is the experiment's, and a key that it gives no value is not there. One of
/// the four lengths of a run takes the place of another.
[[nodiscard]] ATTNLAB_API config::Node merged_train(const config::Node& of_experiment, const config::Node& of_arm);

}  // namespace attnlab::experiment

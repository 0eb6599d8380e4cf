// Reads `train:`, of an experiment or of the file of `attnlab train`. All mistakes at once, each with its place.
#pragma once

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"
#include "training/train_choice.h"

namespace attnlab::training {

/// Where problems were added, what is returned is of no use.
[[nodiscard]] ATTNLAB_API TrainChoice read_train(const config::Node& node, config::ProblemList& problems);

}  // namespace attnlab::training

// The case `train` of a study: a row for every arm and seed that says how its training ended. Not a workload that YAML
// names; `train:` adds it. What it measures comes from the runner, which trains.
#pragma once

#include <memory>

#include "study/trainings.h"
#include "workloads/workload.h"

namespace attnlab::experiment {

/// `trained`: as the experiment says it, for arms without keys of their own.
[[nodiscard]] ChosenWorkload train_workload(std::shared_ptr<const TrainedAs> trained);

[[nodiscard]] ATTNLAB_API bool is_train(const WorkloadKind& kind);

}  // namespace attnlab::experiment

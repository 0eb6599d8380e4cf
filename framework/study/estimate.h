// How long a plan will take, and how much memory, before anything runs: operations and bytes are counted in a few small
// passes of each arm's model, and compared with what this machine does in a short probe. An estimate, not a
// measurement: what a plugin computes besides products and reads and does not report is not included, and for memory a
// cache is assumed to drop nothing.
#pragma once

#include <cstddef>
#include <string>

#include <attnlab/api.h>

#include "machine/roof.h"
#include "study/plan.h"

namespace attnlab::experiment {

struct Estimate {
  double least_seconds = 0;      // of the whole run: fewest rounds, two rounds of warm-up
  double most_seconds = 0;       // most rounds, all rounds of warm-up
  std::size_t weight_bytes = 0;  // of the largest arm's process, weights and caches
  std::size_t kv_bytes = 0;
  std::string largest_arm;
  double training_bytes = 0;  // of the largest training
};

[[nodiscard]] ATTNLAB_API Estimate estimate(const Plan& plan, const RoofProbe& roof);

/// Of the case's rows, states and summaries in the arm's caches, as if they forgot nothing.
[[nodiscard]] std::size_t kv_bytes(const Plan& plan, const PlannedArm& arm, std::size_t planned_case);

/// What a trial of the case may take where the experiment does not say: what the costliest arm would take on a machine
/// that is slow, several times over, at least ten minutes. The same on every machine, so that
/// plan.yaml is. For trials that hang, not for those that are slow.
[[nodiscard]] double default_limit_seconds(const Plan& plan, std::size_t planned_case);

/// Seconds of one trial in a process that is there already.
[[nodiscard]] ATTNLAB_API double trial_seconds(const Plan& plan, const PlannedArm& arm, std::size_t planned_case,
                                               const RoofProbe& roof);

/// For people, with how it was made. Probes the machine for a fraction of a second.
[[nodiscard]] ATTNLAB_API std::string describe_estimate(const Plan& plan);

}  // namespace attnlab::experiment

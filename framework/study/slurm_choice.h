// `launcher: {slurm: {...}}`: what Slurm is asked for. Everything that is left empty is left to Slurm's own defaults.
#pragma once

#include <cstdint>
#include <string>

#include <attnlab/api.h>

#include "config/keys.h"
#include "config/node.h"
#include "config/problem_list.h"

namespace attnlab::experiment {

struct SlurmChoice {
  std::string partition, account, constraint, time, setup;
  std::uint64_t memory = 0;  // bytes of a job; 0: not said
  int cpus = 0;              // of a job; 0: the study's threads
  double file_delay = 75;    // seconds until what one machine has written is seen by the others, at the most
  int array = 0;             // elements of one job array that run at once; 0: as many as Slurm lets

  bool operator==(const SlurmChoice&) const = default;
};

[[nodiscard]] ATTNLAB_API const config::KeyTable& launcher_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& slurm_keys();

/// The map below `slurm`; null reads as an empty one.
[[nodiscard]] SlurmChoice read_slurm(const config::Node& node, config::ProblemList& problems);

}  // namespace attnlab::experiment

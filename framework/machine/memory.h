// How much memory there is, and how much of it this process may take: what bounds buffers and trials.
#pragma once

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab::experiment {

/// Physical memory of the machine in bytes; 0 where the system does not say.
[[nodiscard]] ATTNLAB_API std::int64_t total_memory_bytes();

/// What this process may come to hold: the least of physical memory, its control group's limit and `ulimit -v`. Not
/// what is free at the moment: on a virtual machine whose host takes idle pages back, that swings from second to
/// second.
[[nodiscard]] ATTNLAB_API std::int64_t memory_limit_bytes();

}  // namespace attnlab::experiment

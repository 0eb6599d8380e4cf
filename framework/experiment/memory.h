// How much memory there is, and how much of it this process may still take: what bounds buffers and trials.
#pragma once

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab::experiment {

/// Physical memory of the machine in bytes; 0 where the system does not say.
[[nodiscard]] ATTNLAB_API std::int64_t total_memory_bytes();

/// The least of: what the system calls available, what the control group leaves, and `ulimit -v`. Bytes, never
/// negative.
[[nodiscard]] ATTNLAB_API std::int64_t available_memory_bytes();

}  // namespace attnlab::experiment

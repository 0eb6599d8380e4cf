// What the attention core has cost so far, for the speed workload: a clock read at both ends of a call, and around what
// is done for mass. Differences of two readings are what counts.
#pragma once

#include <attnlab/api.h>

namespace attnlab {

struct AttendTime {
  double seconds = 0;              // in attend, as the caller waits
  double mass_thread_seconds = 0;  // of it for attention mass, summed over threads
};
[[nodiscard]] ATTNLAB_API AttendTime attend_time() noexcept;

}  // namespace attnlab

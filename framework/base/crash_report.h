// A process that a plugin ends (a signal, abort, an exception that must not leave a function) still names the plugin:
//   attnlab: cache "it" (it.cpp): ended by signal 11 (Segmentation fault) in tile
#pragma once

#include <attnlab/api.h>

namespace attnlab {

/// From now on, in this process and in those that it forks: signals that mean a crash, std::terminate and failed checks
/// are one line on stderr; then the process ends as it would have. Called by the first thread.
ATTNLAB_API void name_crashes() noexcept;

/// The line goes to this descriptor instead, in this process.
ATTNLAB_API void report_crashes_to(int descriptor) noexcept;

/// SIGTERM, too, says what was running: for a process that has to be ended because it hangs.
ATTNLAB_API void name_termination() noexcept;

}  // namespace attnlab

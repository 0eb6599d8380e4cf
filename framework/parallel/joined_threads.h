// Parallel work of a process that is forked afterwards. The threads of parallel.h stay, and a fork has none of them.
#pragma once

#include <functional>

#include <attnlab/api.h>

namespace attnlab {

/// Calls task(index) for every index below count on all processors, in no particular order, and returns when all
/// threads that were started for it have ended. Fewer where the system gives no more. The first exception of a task is
/// thrown here; what was not begun then is left out.
ATTNLAB_API void joined_for(int count, const std::function<void(int index)>& task);

}  // namespace attnlab

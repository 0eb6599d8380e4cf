// All parallel work: one arena of a size that the user names, one layer of parallelism, no nesting.
// The only folder that includes TBB.
#pragma once

#include <attnlab/api.h>

namespace attnlab {

/// Sets the number of threads of all parallel work from now on. 1 or more; called before models are made.
ATTNLAB_API void set_threads(int threads);
[[nodiscard]] ATTNLAB_API int threads() noexcept;

/// Processors this process may run on.
[[nodiscard]] ATTNLAB_API int available_processors() noexcept;

/// Where a task runs: 0 .. threads() - 1. Scratch that is indexed by it belongs to the running task alone, since
/// tasks never start tasks.
using WorkerSlot = int;

namespace detail {
using TaskFunction = void (*)(const void* context, int index, WorkerSlot slot);
ATTNLAB_API void run_tasks(int count, TaskFunction function, const void* context);
}  // namespace detail

/// Calls task(index, slot) for every index below count, on all threads, in no particular order; returns when all are
/// done. An exception from a task is thrown here. Allocates nothing.
template <class Task>
void parallel_for(int count, const Task& task) {
  detail::run_tasks(
      count, [](const void* context, int index, WorkerSlot slot) { (*static_cast<const Task*>(context))(index, slot); },
      &task);
}

}  // namespace attnlab

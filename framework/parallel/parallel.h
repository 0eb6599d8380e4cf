// All parallel work: one arena of a size that the user names, one layer of parallelism, no nesting.
// The only folder that includes TBB.
#pragma once

#include <limits>

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

/// About how long one thread takes for all tasks of a loop together. Its order of magnitude decides whether the loop is
/// worth the start and the end of a parallel one, so that two threads are not slower than one for small models.
struct Work {
  double ns;

  /// Of vectors, from caches that are near: more take longer, and are worth it anyway.
  static constexpr Work multiply_adds(double count) { return {count / 16}; }
  /// Each read, changed and written.
  static constexpr Work numbers(double count) { return {count / 4}; }
  friend constexpr Work operator+(Work a, Work b) { return {a.ns + b.ns}; }
};

/// Of loops that are always worth it, or run once.
inline constexpr Work kLongWork{std::numeric_limits<double>::infinity()};

/// Loops of less work run on the calling thread, in order. At first 4,000 ns: a loop that is split costs some 1,400 ns
/// beside its tasks (two cores of a Zen 5, and a worker that still spins). 0: every loop is split, as tests want it.
ATTNLAB_API void set_least_split(double ns) noexcept;
[[nodiscard]] ATTNLAB_API double least_split() noexcept;

namespace detail {
using TaskFunction = void (*)(const void* context, int index, WorkerSlot slot);
ATTNLAB_API void run_tasks(int count, Work work, TaskFunction function, const void* context);
}  // namespace detail

/// Calls task(index, slot) for every index below count, on all threads where `work` is worth it, in no particular
/// order; returns when all are done. An exception from a task is thrown here. Allocates nothing.
template <class Task>
void parallel_for(int count, Work work, const Task& task) {
  detail::run_tasks(
      count, work,
      [](const void* context, int index, WorkerSlot slot) { (*static_cast<const Task*>(context))(index, slot); },
      &task);
}

}  // namespace attnlab

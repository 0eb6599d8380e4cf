#include "parallel/parallel.h"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <memory>

#if defined(__SANITIZE_THREAD__)
// Debian's TBB is not built for the thread sanitizer, which therefore cannot see that the caller's writes happen
// before the tasks and the tasks' writes before the return. We say so, instead of suppressing reports.
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#define ATTNLAB_TSAN_ACQUIRE(address) __tsan_acquire(address)
#define ATTNLAB_TSAN_RELEASE(address) __tsan_release(address)
#else
#define ATTNLAB_TSAN_ACQUIRE(address) static_cast<void>(address)
#define ATTNLAB_TSAN_RELEASE(address) static_cast<void>(address)
#endif

namespace attnlab {
namespace {

struct Arena {
  explicit Arena(int threads)
      : size(threads),
        // The global limit too: TBB starts no more workers than processors unless it is told to.
        limit(oneapi::tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(threads)),
        arena(threads, 1) {
    arena.initialize();
  }
  int size;
  oneapi::tbb::global_control limit;
  oneapi::tbb::task_arena arena;
};

std::unique_ptr<Arena>& current() {
  static std::unique_ptr<Arena> arena = std::make_unique<Arena>(available_processors());
  return arena;
}

std::atomic<double> least = 4000;

char task_start, task_end;  // only their addresses count

}  // namespace

int available_processors() noexcept {
  return oneapi::tbb::info::default_concurrency();
}

void set_threads(int threads) {
  ATTNLAB_CHECK(threads >= 1, "threads must be at least 1");
  if (current()->size == threads) return;
  current().reset();  // the old limit must go first: of several limits the smallest counts
  current() = std::make_unique<Arena>(threads);
}

int threads() noexcept {
  return current()->size;
}

void set_least_split(double ns) noexcept {
  least.store(ns, std::memory_order_relaxed);
}

double least_split() noexcept {
  return least.load(std::memory_order_relaxed);
}

void detail::run_tasks(int count, Work work, TaskFunction function, const void* context) {
  if (count <= 0) return;
  Arena& arena = *current();
  if (count == 1 || arena.size == 1 || work.ns < least_split()) {
    for (int index = 0; index < count; ++index) function(context, index, 0);
    return;
  }
  arena.arena.execute([&] {
    // Every worker takes the next index: tasks are few and long, and ranges that are split in halves left a worker
    // idle while the other finished its half.
    std::atomic<int> next{0};
    const auto take = [&](int) {
      ATTNLAB_TSAN_ACQUIRE(&task_start);
      const WorkerSlot slot = oneapi::tbb::this_task_arena::current_thread_index();
      for (int index; (index = next.fetch_add(1, std::memory_order_relaxed)) < count;) function(context, index, slot);
      ATTNLAB_TSAN_RELEASE(&task_end);
    };
    ATTNLAB_TSAN_RELEASE(&task_start);  // all that the tasks see is written by now
    oneapi::tbb::parallel_for(0, std::min(count, arena.size), take, oneapi::tbb::simple_partitioner());
  });
  ATTNLAB_TSAN_ACQUIRE(&task_end);
}

}  // namespace attnlab

#include "parallel/joined_threads.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "parallel/parallel.h"

namespace attnlab {

void joined_for(int count, const std::function<void(int index)>& task) {
  std::atomic<int> next = 0;
  std::mutex guard;
  std::exception_ptr first;
  const auto work = [&] {
    for (int index = next++; index < count; index = next++) {
      try {
        task(index);
      } catch (...) {
        const std::scoped_lock lock(guard);
        if (!first) first = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> others;
  try {
    for (int i = 1; i < std::min(available_processors(), count); ++i) others.emplace_back(work);
  } catch (const std::system_error&) {  // those that there are do it
  }
  work();
  for (std::thread& thread : others) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace attnlab

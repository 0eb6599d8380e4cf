// Counts what the calling thread takes from the heap by operator new, in the program and in the plugins alike.
#pragma once

#include <cstddef>

namespace attnlab::test {

struct HeapCount {
  long calls = 0;
  std::size_t bytes = 0;
};

/// Of this thread, since it began.
HeapCount heap_count() noexcept;

/// What `work` takes from the heap on this thread.
template <class Work>
HeapCount heap_count_of(const Work& work) {
  const HeapCount before = heap_count();
  work();
  const HeapCount after = heap_count();
  return {after.calls - before.calls, after.bytes - before.bytes};
}

}  // namespace attnlab::test

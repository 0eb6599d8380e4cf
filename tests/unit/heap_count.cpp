#include "unit/heap_count.h"

#include <cstdlib>
#include <new>

namespace attnlab::test {
namespace {

thread_local constinit HeapCount of_thread;

void* counted(std::size_t bytes, std::size_t alignment) {
  ++of_thread.calls;
  of_thread.bytes += bytes;
  const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;  // what aligned_alloc asks for
  if (void* memory = std::aligned_alloc(alignment, whole == 0 ? alignment : whole)) return memory;
  throw std::bad_alloc();
}

}  // namespace

HeapCount heap_count() noexcept {
  return of_thread;
}

}  // namespace attnlab::test

// The other forms of new and delete call these, but for those that throw nothing: where a sanitizer brings its own, what
// they give must not come to the delete below.
void* operator new(std::size_t bytes) {
  return attnlab::test::counted(bytes, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return attnlab::test::counted(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes, alignment);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

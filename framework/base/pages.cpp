#include "base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace attnlab {
namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
}

Pages::Pages(std::size_t bytes) {
  if (bytes == 0) return;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = {static_cast<std::byte*>(memory), bytes};
  // Only where several fit: a small region in one huge page would hold more memory than it was asked for.
  if (bytes >= 4 * kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
}

Pages::~Pages() {
  if (!memory_.empty()) munmap(memory_.data(), memory_.size());
}

void Pages::release(std::size_t offset, std::size_t bytes) const noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t first = (offset + page - 1) / page * page;
  const std::size_t last = (offset + bytes) / page * page;
  if (last > first) madvise(memory_.data() + first, last - first, MADV_DONTNEED);
}

}  // namespace attnlab

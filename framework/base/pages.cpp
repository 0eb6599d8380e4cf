#include "base/pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <new>

#include <attnlab/error.h>

namespace attnlab {
namespace {
constexpr std::size_t kHugePage = std::size_t{2} << 20;
}

Pages::Pages(std::size_t bytes) {
  if (bytes == 0) return;
  // Only where one fits: the rest of the region stays in small pages, so that no more is held than was asked for.
  const bool huge = bytes >= kHugePage;
  const std::size_t mapped = huge ? bytes + kHugePage : bytes;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  auto* first = static_cast<std::byte*>(memory);
  if (huge) {  // cut so that it starts with a whole huge page
    const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(first) % kHugePage) % kHugePage;
    if (before > 0) munmap(first, before);
    first += before;
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t kept = (bytes + page - 1) / page * page;
    if (before + kept < mapped) munmap(first + kept, mapped - before - kept);
    madvise(first, kept, MADV_HUGEPAGE);
  }
  memory_ = {first, bytes};
}

Pages::~Pages() {
  if (!memory_.empty() && region_ == nullptr) munmap(memory_.data(), memory_.size());
}

Pages PagesRoom::take(std::size_t bytes) {
  constexpr std::size_t region_bytes = 32 * kHugePage;
  if (regions_.empty() || used_ + bytes > regions_.back()->size()) {
    regions_.push_back(std::make_shared<const Pages>(std::max(bytes, region_bytes)));
    used_ = 0;
  }
  Pages part;
  part.memory_ = {regions_.back()->data() + used_, bytes};
  part.region_ = regions_.back();
  used_ += (bytes + 63) / 64 * 64;
  return part;
}

void PagesRoom::set_inherited(bool inherited) const noexcept {
  for (const auto& region : regions_) madvise(region->data(), region->size(), inherited ? MADV_DOFORK : MADV_DONTFORK);
}

Pages Pages::shared() const {
  ATTNLAB_CHECK(region_ != nullptr, "memory that is no part of a room has one owner");
  Pages same;
  same.memory_ = memory_;
  same.region_ = region_;
  return same;
}

void Pages::populate(std::size_t offset, std::size_t bytes) const noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t first = offset / page * page;
  madvise(memory_.data() + first, offset + bytes - first, MADV_POPULATE_WRITE);
}

void Pages::release(std::size_t offset, std::size_t bytes) const noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t first = (offset + page - 1) / page * page;
  const std::size_t last = (offset + bytes) / page * page;
  if (last > first) madvise(memory_.data() + first, last - first, MADV_DONTNEED);
}

}  // namespace attnlab

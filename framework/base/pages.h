// Anonymous memory in large pages: weights and cached rows are read from end to end, and 4 KiB pages would cost a TLB
// miss every 64 lines.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <attnlab/api.h>

namespace attnlab {

class ATTNLAB_API Pages {
 public:
  Pages() = default;
  /// Zeroed, 64-byte aligned at least; counted as memory only once touched. Throws std::bad_alloc.
  explicit Pages(std::size_t bytes);
  Pages(Pages&& other) noexcept : memory_(std::exchange(other.memory_, {})), region_(std::move(other.region_)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(region_, other.region_);
    return *this;
  }
  ~Pages();

  [[nodiscard]] std::byte* data() const noexcept { return memory_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return memory_.size(); }
  /// The same memory once more, of a part of a room.
  [[nodiscard]] Pages shared() const;
  /// Fills in the pages that hold the range, in one call instead of a fault for each; a fault costs more than clearing
  /// its page, in a virtual machine by far. Only a hint: where the system refuses, first use faults.
  void populate(std::size_t offset, std::size_t bytes) const noexcept;
  /// Gives the whole pages inside the range back to the system; they read as zero afterwards.
  void release(std::size_t offset, std::size_t bytes) const noexcept;

 private:
  friend class PagesRoom;
  std::span<std::byte> memory_;
  std::shared_ptr<const Pages> region_;  // whose part this is; null: it has its own mapping
};

// Hands out parts of large regions, for what lives equally long: the matrices of a model are too small for large pages
// of their own. A region lives as long as its parts and the room do.
class ATTNLAB_API PagesRoom {
 public:
  /// Zeroed, aligned to 64 bytes. Throws std::bad_alloc.
  [[nodiscard]] Pages take(std::size_t bytes);
  /// Whether a process that is forked from now on has the memory that was handed out, as it is then and without a copy;
  /// at first it has. In one that has not, parts must not be touched, nor destroyed.
  void set_inherited(bool inherited) const noexcept;

 private:
  std::vector<std::shared_ptr<const Pages>> regions_;
  std::size_t used_ = 0;  // bytes of the last region
};

}  // namespace attnlab

// Anonymous memory in large pages: weights and cached rows are read from end to end, and 4 KiB pages would cost a TLB
// miss every 64 lines.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include <attnlab/api.h>

namespace attnlab {

class ATTNLAB_API Pages {
 public:
  Pages() = default;
  /// Zeroed, 64-byte aligned at least; counted as memory only once touched. Throws std::bad_alloc.
  explicit Pages(std::size_t bytes);
  Pages(Pages&& other) noexcept : memory_(std::exchange(other.memory_, {})) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(memory_, other.memory_);
    return *this;
  }
  ~Pages();

  [[nodiscard]] std::byte* data() const noexcept { return memory_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return memory_.size(); }
  /// Gives the whole pages inside the range back to the system; they read as zero afterwards.
  void release(std::size_t offset, std::size_t bytes) const noexcept;

 private:
  std::span<std::byte> memory_;
};

}  // namespace attnlab

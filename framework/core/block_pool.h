// Equal blocks of memory for cached rows: handed out and taken back one at a time, from large regions whose pages count
// only while a block is in use.
#pragma once

#include <cstddef>
#include <vector>

#include "base/pages.h"

namespace attnlab {

class BlockPool {
 public:
  /// Address space for `expected_blocks` at once; more is added as needed.
  BlockPool(std::size_t block_bytes, std::size_t expected_blocks);

  /// 64-byte aligned; contents undefined.
  [[nodiscard]] float* acquire();
  void release(float* block);

  [[nodiscard]] std::size_t bytes_in_use() const noexcept { return in_use_ * block_bytes_; }

 private:
  std::size_t block_bytes_;
  std::size_t next_region_blocks_;
  std::vector<Pages> regions_;
  std::size_t used_of_last_ = 0;  // blocks of the last region that were ever handed out
  std::vector<float*> free_;
  std::size_t in_use_ = 0;
};

}  // namespace attnlab

// Equal blocks of memory for cached rows: handed out and taken back one at a time, from large regions whose pages count
// only while a block is in use. A block may have several owners, and counts once.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <utility>
#include <vector>

#include <attnlab/api.h>

#include "base/pages.h"

namespace attnlab {

/// Bytes of blocks that are held in the whole process, spare ones included: what the conformance kit compares with the
/// bytes that caches say they have.
[[nodiscard]] ATTNLAB_API std::size_t held_block_bytes() noexcept;

class BlockPool {
 public:
  /// Address space for `expected_blocks` at once; more is added as needed.
  BlockPool(std::size_t block_bytes, std::size_t expected_blocks);

  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  /// 64-byte aligned; contents undefined. Of one owner.
  [[nodiscard]] float* acquire();
  /// One owner more.
  void share(const float* block) { ++other_owners_[block]; }
  [[nodiscard]] bool is_shared(const float* block) const {
    return !other_owners_.empty() && other_owners_.contains(block);
  }
  /// One owner less; the last one gives its memory back to the system.
  void release(float* block);
  /// One owner less; what the last one gives back keeps its memory for the next acquire: for caches whose rows go one
  /// over a block and back in every step, and for the next sequence.
  void set_aside(float* block);

  [[nodiscard]] std::size_t spare_blocks() const noexcept { return spare_.size(); }
  /// Of the blocks that are in use, and of the spare ones.
  [[nodiscard]] std::size_t bytes() const noexcept { return (in_use_ + spare_.size()) * block_bytes_; }

 private:
  // Whether an owner is left.
  bool drop_owner(const float* block);
  void populate(float* block);
  [[nodiscard]] std::pair<const Pages*, std::size_t> place_of(const float* block) const;

  std::size_t block_bytes_;
  std::size_t next_region_blocks_;
  std::vector<Pages> regions_;
  std::size_t used_of_last_ = 0;  // blocks of the last region that were ever handed out
  std::vector<float*> spare_;     // free, memory kept
  std::vector<float*> free_;      // free, memory given back
  std::size_t in_use_ = 0;
  std::unordered_map<const float*, int> other_owners_;  // of blocks that have more than one
};

}  // namespace attnlab

#include "core/block_pool.h"

#include <algorithm>

namespace attnlab {

BlockPool::BlockPool(std::size_t block_bytes, std::size_t expected_blocks)
    : block_bytes_((block_bytes + 63) / 64 * 64), next_region_blocks_(std::max<std::size_t>(expected_blocks, 4)) {}

float* BlockPool::acquire() {
  ++in_use_;
  for (std::vector<float*>* blocks : {&spare_, &free_}) {
    if (blocks->empty()) continue;
    float* block = blocks->back();
    blocks->pop_back();
    return block;
  }
  if (regions_.empty() || (used_of_last_ + 1) * block_bytes_ > regions_.back().size()) {
    regions_.emplace_back(next_region_blocks_ * block_bytes_);
    next_region_blocks_ *= 2;
    used_of_last_ = 0;
  }
  return reinterpret_cast<float*>(regions_.back().data() + used_of_last_++ * block_bytes_);
}

void BlockPool::set_aside(float* block) {
  --in_use_;
  spare_.push_back(block);
}

void BlockPool::release_spare() {
  for (float* block : spare_) give_back(block);
  spare_.clear();
}

void BlockPool::release(float* block) {
  --in_use_;
  give_back(block);
}

void BlockPool::give_back(float* block) {
  free_.push_back(block);
  for (const Pages& region : regions_) {
    const auto offset = reinterpret_cast<std::byte*>(block) - region.data();
    if (offset >= 0 && static_cast<std::size_t>(offset) < region.size())
      region.release(static_cast<std::size_t>(offset), block_bytes_);
  }
}

}  // namespace attnlab

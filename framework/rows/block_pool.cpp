#include "rows/block_pool.h"

#include <atomic>

#include <attnlab/api.h>

namespace attnlab {
namespace {

std::atomic<std::size_t> held{0};  // counted where memory is taken and given back, not where it is reported

}  // namespace

std::size_t held_block_bytes() noexcept {
  return held;
}

BlockPool::~BlockPool() {
  held -= (in_use_ + spare_.size()) * block_bytes_;
}

BlockPool::BlockPool(std::size_t block_bytes, std::size_t expected_blocks)
    : block_bytes_((block_bytes + 63) / 64 * 64), next_region_blocks_(std::max<std::size_t>(expected_blocks, 4)) {}

float* BlockPool::acquire() {
  ++in_use_;
  if (!spare_.empty()) {
    float* block = spare_.back();
    spare_.pop_back();
    return block;
  }
  if (!free_.empty()) {
    float* block = free_.back();
    free_.pop_back();
    populate(block);
    return block;
  }
  if (regions_.empty() || (used_of_last_ + 1) * block_bytes_ > regions_.back().size()) {
    regions_.emplace_back(next_region_blocks_ * block_bytes_);
    next_region_blocks_ *= 2;
    used_of_last_ = 0;
  }
  float* block = reinterpret_cast<float*>(regions_.back().data() + used_of_last_++ * block_bytes_);
  populate(block);
  return block;
}

bool BlockPool::drop_owner(const float* block) {
  if (other_owners_.empty()) return false;
  const auto owners = other_owners_.find(block);
  if (owners == other_owners_.end()) return false;
  if (--owners->second == 0) other_owners_.erase(owners);
  return true;
}

void BlockPool::set_aside(float* block) {
  if (drop_owner(block)) return;
  --in_use_;
  spare_.push_back(block);
}

void BlockPool::release(float* block) {
  if (drop_owner(block)) return;
  --in_use_;
  free_.push_back(block);
  const auto [region, offset] = place_of(block);
  region->release(offset, block_bytes_);
  held -= block_bytes_;
}

void BlockPool::populate(float* block) {
  const auto [region, offset] = place_of(block);
  region->populate(offset, block_bytes_);
  held += block_bytes_;
}

std::pair<const Pages*, std::size_t> BlockPool::place_of(const float* block) const {
  for (const Pages& region : regions_) {
    const auto offset = reinterpret_cast<const std::byte*>(block) - region.data();
    if (offset >= 0 && static_cast<std::size_t>(offset) < region.size())
      return {&region, static_cast<std::size_t>(offset)};
  }
  ATTNLAB_CHECK(false, "a block of another pool");
  return {};
}

}  // namespace attnlab

#include "training/clipping.h"

#include <cmath>
#include <numeric>

#include "training/updates.h"

namespace attnlab::training {

Clipping::Clipping(double limit, std::span<const TrainedTensor> tensors) : limit_(limit) {
  std::vector<std::size_t> all(tensors.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  blocks_ = element_blocks(tensors, all);
  sums_.resize(blocks_.size());
}

double Clipping::clip(std::span<const TrainedTensor> tensors) {
  for_each_block(blocks_, [&](const ElementBlock& block) {
    sums_[static_cast<std::size_t>(&block - blocks_.data())] = sum_of_squares(block.of(tensors[block.tensor].gradient));
  });
  const double norm = std::sqrt(std::accumulate(sums_.begin(), sums_.end(), 0.0));
  if (limit_ == 0 || !std::isfinite(norm) || norm <= limit_) return norm;
  const auto factor = static_cast<float>(limit_ / norm);
  for_each_block(blocks_, [&](const ElementBlock& block) {
    const std::span<float> gradient = block.of(tensors[block.tensor].gradient);
    scaled(factor, gradient, gradient);
  });
  return norm;
}

}  // namespace attnlab::training

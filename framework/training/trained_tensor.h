// What is trained, as the optimiser, the clipping and the files of a training see it: named tensors with their
// gradients.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace attnlab::training {

/// One trainable tensor, as the checkpoint names and shapes it. Borrowed.
struct TrainedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::span<float> values;    // f32 master
  std::span<float> gradient;  // of the same size
};

}  // namespace attnlab::training

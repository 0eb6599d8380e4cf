// What both formats' fuzzers do with tensors that were accepted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "model/checkpoints/checkpoint.h"

namespace attnlab::fuzz {

/// Reads the ends of a tensor, which are where a wrong size would be read from.
inline void read_ends(const model::StoredTensor& stored) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : stored.info->shape) elements *= extent;
  std::vector<float> numbers(static_cast<std::size_t>(std::min<std::int64_t>(elements, 512)));
  model::read_f32(stored, 0, numbers);
  model::read_f32(stored, elements - static_cast<std::int64_t>(numbers.size()), numbers);
}

}  // namespace attnlab::fuzz

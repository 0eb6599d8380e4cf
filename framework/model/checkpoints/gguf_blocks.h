// The blocks of codes that GGUF stores weights in, as numbers. All values are exact in f32, but for the one subtraction
// of Q4_K, which is rounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <attnlab/api.h>

#include "model/checkpoints/safetensors.h"

namespace attnlab::model {

inline constexpr std::int64_t kMostBlockElements = 256;

struct BlockShape {
  std::int64_t elements;
  std::int64_t bytes;
};
[[nodiscard]] ATTNLAB_API BlockShape block_shape(BlockType type);

/// One block; out [elements].
ATTNLAB_API void read_block(BlockType type, const std::byte* block, float* out);

}  // namespace attnlab::model

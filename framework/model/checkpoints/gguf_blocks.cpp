#include "model/checkpoints/gguf_blocks.h"

#include <cstring>

#include <attnlab/error.h>

#include "base/convert.h"

namespace attnlab::model {
namespace {

float half_at(const std::byte* from) {
  std::uint16_t bits;
  std::memcpy(&bits, from, sizeof bits);
  return from_f16(bits);
}

int byte_at(const std::byte* from, std::int64_t i) {
  return std::to_integer<int>(from[i]);
}

// f16 d, i8 q[32]: d q
void read_q8_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(static_cast<std::int8_t>(byte_at(block, 2 + i)));
}

// f16 d, u8 b[16]: low halves, then high ones; d (n - 8)
void read_q4_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < 16; ++i) {
    const int byte = byte_at(block, 2 + i);
    out[i] = d * static_cast<float>((byte & 15) - 8);
    out[i + 16] = d * static_cast<float>((byte >> 4) - 8);
  }
}

// f16 d, f16 e, u8 s[12], u8 b[128]: 8 groups of 32 with a scale S and a minimum M of 6 bits each; (d S) n - (e M)
void read_q4_k(const std::byte* block, float* out) {
  const float d = half_at(block), e = half_at(block + 2);
  const std::byte* const s = block + 4;
  const std::byte* const b = block + 16;
  for (int g = 0; g < 8; ++g) {
    int scale = 0, minimum = 0;
    if (g < 4) {
      scale = byte_at(s, g) & 63;
      minimum = byte_at(s, g + 4) & 63;
    } else {
      scale = (byte_at(s, g + 4) & 15) | (byte_at(s, g - 4) >> 6) << 4;
      minimum = (byte_at(s, g + 4) >> 4) | (byte_at(s, g) >> 6) << 4;
    }
    const float of_code = d * static_cast<float>(scale), below = e * static_cast<float>(minimum);
    for (int i = 0; i < 32; ++i) {
      const int byte = byte_at(b, 32 * (g / 2) + i);
      out[32 * g + i] = of_code * static_cast<float>(g % 2 == 0 ? byte & 15 : byte >> 4) - below;
    }
  }
}

// u8 l[128], u8 h[64], i8 s[16], f16 d: two halves of four runs of 32; d S n, with n of 4 low and 2 high bits, less 32
void read_q6_k(const std::byte* block, float* out) {
  const std::byte* const l = block;
  const std::byte* const h = block + 128;
  const std::byte* const s = block + 192;
  const float d = half_at(block + 208);
  for (int t = 0; t < 2; ++t)
    for (int r = 0; r < 4; ++r)
      for (int j = 0; j < 32; ++j) {
        const int low_byte = byte_at(l, 64 * t + 32 * (r & 1) + j);
        const int low = r < 2 ? low_byte & 15 : low_byte >> 4;
        const int high = (byte_at(h, 32 * t + j) >> (2 * r)) & 3;
        const int scale = static_cast<std::int8_t>(byte_at(s, 8 * t + 2 * r + j / 16));
        // d S is exact in f32 (11 and 8 bits), and so is its product with a code of 6 bits.
        out[128 * t + 32 * r + j] = d * static_cast<float>(scale) * static_cast<float>((low | high << 4) - 32);
      }
}

}  // namespace

BlockShape block_shape(BlockType type) {
  switch (type) {
    case BlockType::q8_0:
      return {32, 34};
    case BlockType::q4_0:
      return {32, 18};
    case BlockType::q4_k:
      return {256, 144};
    case BlockType::q6_k:
      return {256, 210};
    case BlockType::none:
      break;
  }
  ATTNLAB_CHECK(false, "no blocks");
  return {};
}

void read_block(BlockType type, const std::byte* block, float* out) {
  switch (type) {
    case BlockType::q8_0:
      return read_q8_0(block, out);
    case BlockType::q4_0:
      return read_q4_0(block, out);
    case BlockType::q4_k:
      return read_q4_k(block, out);
    case BlockType::q6_k:
      return read_q6_k(block, out);
    case BlockType::none:
      break;
  }
  ATTNLAB_CHECK(false, "no blocks");
}

}  // namespace attnlab::model

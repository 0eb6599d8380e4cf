// Breaks "numbers are finite": the output is no number from position 80 on.
#include <limits>

#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

struct Ending {
  void operator()(const ChunkView& chunk, TensorView<float, 2> out) {
    for (int token = 0; token < chunk.tokens(); ++token)
      if (chunk.positions[token] >= 80) out(token, 0) = std::numeric_limits<float>::quiet_NaN();
  }
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<CausalMask, Ending>>(broken_info("nan"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_nan", .version = "1.0", .attention = attnlab::broken::kBroken);

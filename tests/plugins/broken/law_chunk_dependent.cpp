// Breaks "prompt in pieces = at once": the output grows with the number of tokens that are fed at once.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

struct ByTokens {
  void operator()(const ChunkView& chunk, TensorView<float, 2> out) {
    scale_rows(out, 1 + 0.01F * static_cast<float>(chunk.tokens()));
  }
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<CausalMask, ByTokens>>(broken_info("chunk_dependent"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_chunk_dependent", .version = "1.0", .attention = attnlab::broken::kBroken);

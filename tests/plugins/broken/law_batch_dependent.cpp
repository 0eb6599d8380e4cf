// Breaks "batch mix changes nothing": the output grows with the number of sequences.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

struct BySequences {
  void operator()(const ChunkView& chunk, TensorView<float, 2> out) {
    scale_rows(out, 1 + 0.01F * static_cast<float>(chunk.sequences()));
  }
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<CausalMask, BySequences>>(broken_info("batch_dependent"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_batch_dependent", .version = "1.0", .attention = attnlab::broken::kBroken);

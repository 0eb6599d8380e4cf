// Breaks "order of sequences changes nothing": the output grows with the index of the sequence.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

struct ByIndexOfSequence {
  void operator()(const ChunkView& chunk, TensorView<float, 2> out) {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
      scale_rows(out.slice(chunk.first(sequence), chunk.tokens_of(sequence)), 1 + 0.01F * static_cast<float>(sequence));
  }
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<CausalMask, ByIndexOfSequence>>(broken_info("order_dependent"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_order_dependent", .version = "1.0", .attention = attnlab::broken::kBroken);

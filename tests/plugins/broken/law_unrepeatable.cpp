// Breaks "repeats itself to the bit": the output grows from call to call.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

struct ByCalls {
  void operator()(const ChunkView&, TensorView<float, 2> out) {
    scale_rows(out, 1 + 1e-3F * static_cast<float>(calls++));
  }
  int calls = 0;
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<CausalMask, ByCalls>>(broken_info("unrepeatable"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_unrepeatable", .version = "1.0", .attention = attnlab::broken::kBroken);

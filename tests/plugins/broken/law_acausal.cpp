// Breaks "causal": a query sees every row that is there, so also the later tokens of its chunk.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

class NoMask final : public MaskRule {
 public:
  Cover cover(const MaskPlace&) const noexcept override { return Cover::full; }
  void mask(ScoreTile&) const noexcept override {}
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, FlawedAttention<NoMask>>(broken_info("acausal"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_acausal", .version = "1.0", .attention = attnlab::broken::kBroken);

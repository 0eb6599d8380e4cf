// Breaks "declared traits are true", in both ways that a window can be wrong: an attention that says that it sees eight
// keys and sees all of them, and one that sees eight and says nothing.
#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

constexpr int kWindow = 8;

struct WindowMask final : MaskRule {
  Cover cover(const MaskPlace& place) const noexcept override { return inner.cover(place); }
  void mask(ScoreTile& tile) const noexcept override { inner.mask(tile); }
  CausalMask inner{kWindow};
};

class SaysAWindow final : public AttentionVariant {
 public:
  SaysAWindow(const NoOptions& options, const CreateContext& context) : inner_(options, context) {}
  static Traits traits(const NoOptions& options) { return FlawedAttention<CausalMask>::traits(options); }
  KvShape kv_shape() const override { return inner_.kv_shape(); }
  int visible_window() const override { return kWindow; }
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    inner_.forward(layer, hidden, out);
  }

 private:
  FlawedAttention<CausalMask> inner_;
};

constexpr Component<AttentionVariant> kBroken[] = {
    component<AttentionVariant, SaysAWindow>(broken_info("wrong_window")),
    component<AttentionVariant, FlawedAttention<WindowMask>>(broken_info("hidden_window"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "law_false_window", .version = "1.0", .attention = attnlab::broken::kBroken);

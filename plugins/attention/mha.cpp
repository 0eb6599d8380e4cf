// Multi-head attention: every query head has its own keys and values. Vaswani et al. 2017.
// The block itself (projections, modifiers, the core) is the SDK's SoftmaxBlock; here is only the head layout.
#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {

using Options = attnlab::AttentionModifiers;

class MultiHead final : public attnlab::AttentionVariant {
 public:
  MultiHead(const Options& options, const attnlab::CreateContext& context) : block_(options, context.heads, context) {}

  static attnlab::Traits traits(const Options& options) { return attnlab::SoftmaxBlock::traits(options, 0); }

  std::vector<attnlab::ParameterSpec> parameters() const override { return block_.parameters(); }
  void bind(const attnlab::ParameterSet& parameters) override { block_.bind(parameters); }
  attnlab::KvShape kv_shape() const override { return block_.kv_shape(); }
  int visible_window() const override { return block_.visible_window(); }
  void forward(const attnlab::LayerContext& layer, attnlab::TensorView<const float, 2> hidden,
               attnlab::TensorView<float, 2> out) override {
    block_.forward(layer, hidden, out);
  }

 private:
  attnlab::SoftmaxBlock block_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, MultiHead, Options>(
        {.id = "mha", .summary = "Every query head has its own key/value head.", .reference = "arXiv:1706.03762"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "mha", .version = "1.0", .attention = kAttention);

// tempered: multi-query attention with scores divided by a temperature. A score function, for the tests of the SDK;
// of no paper.
#include <cmath>

#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {
using namespace attnlab;

struct Options {
  double temperature = 2;

  static constexpr auto fields() {
    return std::tuple{field("temperature", &Options::temperature, {.min = 1e-3, .doc = "Above 1: flatter weights."})};
  }
};

AttentionModifiers modifiers(const Options& options, const CreateContext& context) {
  AttentionModifiers modifiers;
  modifiers.scale = 1 / (options.temperature * std::sqrt(static_cast<double>(context.head_dim)));
  return modifiers;
}

class Tempered final : public AttentionVariant {
 public:
  Tempered(const Options& options, const CreateContext& context) : block_(modifiers(options, context), 1, context) {}
  static Traits traits(const Options&) { return SoftmaxBlock::traits({}, 1); }
  std::vector<ParameterSpec> parameters() const override { return block_.parameters(); }
  void bind(const ParameterSet& parameters) override { block_.bind(parameters); }
  KvShape kv_shape() const override { return block_.kv_shape(); }
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    block_.forward(layer, hidden, out);
  }

 private:
  SoftmaxBlock block_;
};

constexpr Component<AttentionVariant> kAttention[] = {component<AttentionVariant, Tempered, Options>(
    {.id = "tempered", .summary = "One kv head, and a temperature.", .reference = "tests of the SDK"})};
}  // namespace

ATTNLAB_PLUGIN(.name = "tempered", .version = "1.0", .attention = kAttention);

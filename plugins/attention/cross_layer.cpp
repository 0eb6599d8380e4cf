// Cross-layer attention: of `share` neighbouring layers the first keeps rows, and the others read them, so the cache
// holds rows for one layer of the group. Brandon et al. 2024. A layer that reads has no projections of keys and values;
// all else is its own. Rows are shared as the first layer stored them, normalised and rotated. Not here: layers that
// share rows and are no neighbours (YOCO), and rows that are normalised after the rotation (Hunyuan-Large).
#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {

using attnlab::TensorView;

struct CrossLayerOptions : attnlab::AttentionModifiers {
  std::int32_t share = 2;

  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{attnlab::field("share", &CrossLayerOptions::share,
                                  {.min = 1,
                                   .unit = "layers",
                                   .doc = "Neighbouring layers that share the rows of the first, from layer 0; the "
                                          "last group may be shorter. 1: no sharing."})},
        attnlab::AttentionModifiers::fields());
  }
};
using Options = CrossLayerOptions;

class CrossLayer final : public attnlab::AttentionVariant {
 public:
  CrossLayer(const Options& options, const attnlab::CreateContext& context)
      : owner_(context.layer % options.share == 0 ? -1 : context.layer - context.layer % options.share),
        block_(options, context.kv_heads, context,
               owner_ < 0 ? attnlab::BlockRows::own : attnlab::BlockRows::of_another_layer) {}
  static attnlab::Traits traits(const Options& options) { return attnlab::SoftmaxBlock::traits(options, 0); }

  std::vector<attnlab::ParameterSpec> parameters() const override { return block_.parameters(); }
  void bind(const attnlab::ParameterSet& parameters) override { block_.bind(parameters); }
  attnlab::KvShape kv_shape() const override { return block_.kv_shape(); }
  int visible_window() const override { return block_.visible_window(); }
  int kv_layer() const override { return owner_; }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    block_.forward(layer, hidden, out);
  }

 private:
  int owner_;  // the layer whose rows it reads; -1: its own
  attnlab::SoftmaxBlock block_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, CrossLayer, Options>(
        {.id = "cross_layer",
         .summary = "Neighbouring layers read the keys and values of the first of them.",
         .reference = "arXiv:2405.12981"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "cross_layer", .version = "1.0", .attention = kAttention);

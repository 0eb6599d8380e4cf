// Multi-query attention: all query heads share one key/value head. Shazeer 2019.
// The block itself (projections, modifiers, the core) is the SDK's SoftmaxBlock; here is only the head layout.
#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {

struct MultiQueryOptions : attnlab::AttentionModifiers {
  attnlab::HeadPooling pool = attnlab::HeadPooling::mean;

  static constexpr auto fields() {
    return std::tuple_cat(std::tuple{attnlab::pooling_field(&MultiQueryOptions::pool)},
                          attnlab::AttentionModifiers::fields());
  }
};
using Options = MultiQueryOptions;

class MultiQuery final : public attnlab::AttentionVariant {
 public:
  MultiQuery(const Options& options, const attnlab::CreateContext& context) : block_(options, 1, context) {
    block_.pool_heads(options.pool);
  }

  static attnlab::Traits traits(const Options& options) { return attnlab::SoftmaxBlock::traits(options, 1); }

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
    attnlab::component<attnlab::AttentionVariant, MultiQuery, Options>(
        {.id = "mqa", .summary = "All query heads share one key/value head.", .reference = "arXiv:1911.02150"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "mqa", .version = "1.0", .attention = kAttention);

// Grouped-query attention: heads / kv_heads query heads share a key/value head. Ainslie et al. 2023.
// The block itself (projections, modifiers, the core) is the SDK's SoftmaxBlock; here is only the head layout.
#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {

struct GroupedQueryOptions : attnlab::AttentionModifiers {
  std::int32_t kv_heads = 0;
  attnlab::HeadPooling pool = attnlab::HeadPooling::mean;

  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{attnlab::field("kv_heads", &GroupedQueryOptions::kv_heads,
                                  {.min = 0,
                                   .doc = "Key/value heads; a divisor of the query heads. 0: as the model has.",
                                   .from_model = "num_key_value_heads"}),
                   attnlab::pooling_field(&GroupedQueryOptions::pool)},
        attnlab::AttentionModifiers::fields());
  }
};
using Options = GroupedQueryOptions;

class GroupedQuery final : public attnlab::AttentionVariant {
 public:
  GroupedQuery(const Options& options, const attnlab::CreateContext& context)
      : block_(options, options.kv_heads > 0 ? options.kv_heads : context.kv_heads, context) {
    block_.pool_heads(options.pool);
  }

  static attnlab::Traits traits(const Options& options) {
    return attnlab::SoftmaxBlock::traits(options, options.kv_heads);
  }

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
    attnlab::component<attnlab::AttentionVariant, GroupedQuery, Options>(
        {.id = "gqa", .summary = "Groups of query heads share a key/value head.", .reference = "arXiv:2305.13245"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "gqa", .version = "1.0", .attention = kAttention);

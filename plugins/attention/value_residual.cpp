// Value residual (ResFormer): every layer but the first mixes its values with those of layer 0 for the same token,
// before anything else happens to them, and keeps the mixture. Zhou et al. 2024. Only the tokens of the call are
// needed, so no cache is read for it: values of layer 0 pass from layer to layer of one forward pass. Not here: a
// mixture of other layers' values, or of keys.
#include <array>

#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {

using attnlab::TensorView;

enum class Mix : std::uint8_t { fixed, learned };

}  // namespace

template <>
inline constexpr std::array<attnlab::Choice<Mix>, 2> attnlab::kChoices<Mix>{
    {{"fixed", Mix::fixed}, {"learned", Mix::learned}}};

namespace {

struct ValueResidualOptions : attnlab::AttentionModifiers {
  Mix mix = Mix::fixed;

  static constexpr auto fields() {
    return std::tuple_cat(
        std::tuple{attnlab::field("mix", &ValueResidualOptions::mix,
                                  {.doc = "fixed: half of each; learned: a factor for layer 0's values and one for the "
                                          "layer's own, value_lambdas."})},
        attnlab::AttentionModifiers::fields());
  }
};
using Options = ValueResidualOptions;

constexpr float kHalves[] = {0.5F, 0.5F};
constexpr const char* kShared = "values of layer 0 for value_residual";

class ValueResidual final : public attnlab::AttentionVariant {
 public:
  ValueResidual(const Options& options, const attnlab::CreateContext& context)
      : block_(options, context.kv_heads, context),
        is_first_(context.layer == 0),
        is_learned_(options.mix == Mix::learned && !is_first_) {}
  static attnlab::Traits traits(const Options& options) { return attnlab::SoftmaxBlock::traits(options, 0); }

  std::vector<attnlab::ParameterSpec> parameters() const override {
    std::vector<attnlab::ParameterSpec> specs = block_.parameters();
    if (is_learned_)
      specs.push_back(
          {.name = "value_lambdas", .shape = {2}, .form = attnlab::ParameterForm::values, .init = attnlab::Init::ones});
    return specs;
  }
  void bind(const attnlab::ParameterSet& parameters) override {
    block_.bind(parameters);
    if (is_learned_) factors_ = parameters.values("value_lambdas");
  }
  attnlab::KvShape kv_shape() const override { return block_.kv_shape(); }
  int visible_window() const override { return block_.visible_window(); }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    attnlab::Steps& steps = layer.steps;
    const attnlab::KvShape shape = kv_shape();
    const int tokens = layer.chunk.tokens();
    if (is_first_) {
      const auto values = steps.share(kShared, tokens, shape.kv_heads, shape.value_dim);
      block_.attend(layer, hidden, block_.project(layer, hidden, values), out);
      return;
    }
    if (!is_learned_) steps.constant(kHalves);
    const auto rows = block_.project(layer, hidden);
    steps.blend(steps.shared(kShared, tokens, shape.kv_heads, shape.value_dim), factors_, rows.v);
    block_.attend(layer, hidden, rows, out);
  }

 private:
  attnlab::SoftmaxBlock block_;
  bool is_first_, is_learned_;
  std::span<const float> factors_ = kHalves;  // of layer 0's values and of the layer's own
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, ValueResidual, Options>(
        {.id = "value_residual",
         .summary = "Mixes the values of layer 0 into those of every later layer (ResFormer).",
         .reference = "arXiv:2410.17897"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "value_residual", .version = "1.0", .attention = kAttention);

// The usual attention block as an object that a variant holds: projections, optional biases, norms, gate and softcap,
// any head layout. A variant of the family declares its options and its head layout and calls this object. It is not a
// base class: a variant that does something else calls the steps of its layer (steps.h) itself.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <tuple>
#include <vector>

#include <attnlab/attention_variant.h>
#include <attnlab/features.h>
#include <attnlab/options.h>

namespace attnlab {

/// The gate on the heads' outputs: the sigmoid of a projection of the layer's input, one number per head or per element
/// (Qiu et al. 2025).
enum class Gate : std::uint8_t { none, head, element };
template <>
inline constexpr std::array<Choice<Gate>, 3> kChoices<Gate>{
    {{"none", Gate::none}, {"head", Gate::head}, {"element", Gate::element}}};

template <>
inline constexpr std::array<Choice<HeadPooling>, 3> kChoices<HeadPooling>{
    {{"mean", HeadPooling::mean}, {"first", HeadPooling::first}, {"random", HeadPooling::random}}};

/// What q and k are normalised by: RMSNorm of every head with one weight for all (Qwen 3); RMSNorm of all heads of a
/// token together (OLMo 2); LayerNorm of every head with a weight of its own and no bias (Cohere, StableLM).
enum class QkNormKind : std::uint8_t { heads, whole, own };
template <>
inline constexpr std::array<Choice<QkNormKind>, 3> kChoices<QkNormKind>{
    {{"heads", QkNormKind::heads}, {"whole", QkNormKind::whole}, {"own", QkNormKind::own}}};

/// The option of variants that may have fewer kv heads than a checkpoint.
template <class Options>
constexpr auto pooling_field(HeadPooling Options::*member) {
  return field("pool", member,
               {.doc = "How kv heads are made of a checkpoint that has more: mean or first of a group, or random."});
}

/// Options that every variant of the family takes, all combinable.
struct AttentionModifiers {
  std::int32_t window = 0;
  double scale = 0;
  double softcap = 0;
  bool qk_norm = false;
  QkNormKind qk_norm_kind = QkNormKind::heads;
  bool sink_logit = false;
  Gate gate = Gate::none;
  bool qkv_bias = false;
  bool o_bias = false;

  static constexpr auto fields() {
    using M = AttentionModifiers;
    return std::tuple{
        field("window", &M::window,
              {.min = 0,
               .unit = "tokens",
               .doc = "Newest keys a query sees, its own included; 0: all.",
               .from_model = "sliding_window"}),
        field("scale", &M::scale,
              {.min = 0, .doc = "Factor of the scores; 0: 1/sqrt(head_dim).", .from_model = "attention_scale"}),
        field("softcap", &M::softcap,
              {.min = 0,
               .doc = "Scores become c tanh(s / c), after the position bias (Gemma 2); 0: off.",
               .from_model = "attention_softcap"}),
        field("qk_norm", &M::qk_norm,
              {.doc = "Norm of q and k before rotation, of the kind that qk_norm_kind says.", .from_model = "qk_norm"}),
        field("qk_norm_kind", &M::qk_norm_kind,
              {.doc = "heads: RMSNorm of every head (Qwen 3); whole: of all heads together (OLMo 2); own: LayerNorm of "
                      "every head with weights of its own (Cohere).",
               .from_model = "qk_norm_kind"}),
        field("sink_logit", &M::sink_logit,
              {.doc = "One learned logit a head joins the softmax (gpt-oss).", .from_model = "sink_logit"}),
        field("gate", &M::gate, {.doc = "Sigmoid gate on the heads' outputs from the layer's input."}),
        field("qkv_bias", &M::qkv_bias, {.doc = "Biases on the q, k and v projections.", .from_model = "qkv_bias"}),
        field("o_bias", &M::o_bias, {.doc = "Bias on the output projection.", .from_model = "o_bias"})};
  }
};

/// Which rows a block reads: its own, or those that another layer has appended (AttentionVariant::kv_layer); the block
/// then has no key and value projections.
enum class BlockRows : std::uint8_t { own, of_another_layer };

class ATTNLAB_API SoftmaxBlock {
 public:
  /// Heads are context.heads over `kv_heads`, which must divide them: an Error otherwise.
  SoftmaxBlock(const AttentionModifiers& modifiers, int kv_heads, const CreateContext& context,
               BlockRows rows = BlockRows::own);
  ~SoftmaxBlock();
  SoftmaxBlock(SoftmaxBlock&&) noexcept;

  /// What a variant of the family declares. kv_heads 0: as the model has, not known here.
  [[nodiscard]] static Traits traits(const AttentionModifiers& modifiers, int kv_heads);

  /// Said before `parameters`; mean otherwise.
  void pool_heads(HeadPooling how) noexcept;

  [[nodiscard]] std::vector<ParameterSpec> parameters() const;
  void bind(const ParameterSet& parameters);
  [[nodiscard]] KvShape kv_shape() const;
  /// As AttentionVariant::visible_window.
  [[nodiscard]] int visible_window() const noexcept;
  /// `hooks`: the variant's own changes of scores, after the position bias and the softcap.
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out,
               std::span<const ScoreHook* const> hooks = {}) const;

  /// The two halves of `forward`, for a variant that changes the projected rows: first the projections, then everything
  /// after them.
  struct Projected {
    TensorView<float, 3> q;             // [tokens, heads, head_dim]
    TensorView<float, 3> k;             // [tokens, kv_heads, head_dim]; without data where the rows are another layer's
    TensorView<float, 3> v;             // the same
    std::span<const float> marks = {};  // of the rows, where the variant's kv_shape has some
  };
  /// `values` [tokens, kv_heads, head_dim]: where v goes; without data: a buffer of the call.
  [[nodiscard]] Projected project(const LayerContext& layer, TensorView<const float, 2> hidden,
                                  TensorView<float, 3> values = {}) const;
  void attend(const LayerContext& layer, TensorView<const float, 2> hidden, const Projected& rows,
              TensorView<float, 2> out, std::span<const ScoreHook* const> hooks = {}) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace attnlab

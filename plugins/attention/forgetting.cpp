// Forgetting transformer (FoX): every head has a forget gate, and a score falls by the logarithms of the gates of all
// tokens after the key, the query's own included. Lin et al. 2025. The sum of logarithms up to a token is a mark of its
// row: it stays with the row, and tokens whose rows a cache has dropped still count, since their gates are in the sums.
// Published without positions; rope may be used in addition. Not here: the output norm, output gate and shifts of FoX
// Pro.
#include <cmath>

#include <attnlab/ops.h>
#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {

using namespace attnlab;

// A sum as a float and what it leaves over: over thousands of tokens a float alone would round small gates away.
struct Sum {
  float value, rest;

  void add(float x) noexcept {
    const float sum = value + x;
    const float taken = sum - value;
    rest += (value - (sum - taken)) + (x - taken);
    value = sum;
  }
};

// Adds what the gates between key and query say: the difference of their sums.
class Forget final : public ScoreHook {
 public:
  Forget(TensorView<const float, 3> sums, int group) : sums_(sums), group_(group) {}
  Derivative derivative() const noexcept override { return Derivative::own; }
  // What is left over of a sum is its rounding, a constant: the whole gradient is that of the float.
  void backward(const ScoreTile& before, const ScoreGradients& gradients) const override {
    const auto of_sums = gradients.others.of(sums_);
    for (std::int64_t member = 0; member < before.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < before.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < before.scores.extent(2); ++row) {
          const float of = gradients.scores(member, query, row);
          of_sums(before.first_token + query, before.first_head + member, 0) += of;
          gradients.key_marks(row, 2 * ((before.first_head + member) % group_)) -= of;
        }
  }
  void apply(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member) {
      const std::int64_t mark = 2 * ((tile.first_head + member) % group_);
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query) {
        const float* sum = &sums_(tile.first_token + query, tile.first_head + member, 0);
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          tile.scores(member, query, row) +=
              (sum[0] - tile.key_marks(row, mark)) + (sum[1] - tile.key_marks(row, mark + 1));
      }
    }
  }

 private:
  TensorView<const float, 3> sums_;  // [tokens, heads, 2]
  int group_;                        // query heads of a kv head
};

struct ForgettingOptions : AttentionModifiers {
  static constexpr auto fields() { return AttentionModifiers::fields(); }
};

class Forgetting final : public AttentionVariant {
 public:
  Forgetting(const ForgettingOptions& options, const CreateContext& context)
      : block_(options, context.kv_heads, context), heads_(context.heads), hidden_dim_(context.hidden_dim) {}
  static Traits traits(const ForgettingOptions& options) { return SoftmaxBlock::traits(options, 0); }

  std::vector<ParameterSpec> parameters() const override {
    std::vector<ParameterSpec> specs = block_.parameters();
    specs.push_back({.name = "fgate_proj.weight", .shape = {heads_, hidden_dim_}});
    specs.push_back({.name = "fgate_proj.bias", .shape = {heads_}, .form = ParameterForm::values});
    return specs;
  }
  void bind(const ParameterSet& parameters) override {
    block_.bind(parameters);
    gate_ = &parameters.matrix("fgate_proj.weight");
    gate_bias_ = parameters.values("fgate_proj.bias");
  }
  KvShape kv_shape() const override {
    KvShape shape = block_.kv_shape();
    shape.marks = 2 * (heads_ / shape.kv_heads);  // a sum for each query head of the group
    return shape;
  }
  int visible_window() const override { return block_.visible_window(); }
  std::int64_t state_floats() const override { return 2 * heads_; }  // the sums up to the newest token

  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    const int tokens = layer.chunk.tokens();
    Steps& steps = layer.steps;
    auto gates = steps.rows(tokens, heads_);
    auto sums = steps.rows(tokens, heads_, 2);
    SoftmaxBlock::Projected rows = block_.project(layer, hidden);
    steps.project(hidden, {*gate_, gates, gate_bias_});
    for (int sequence = 0; sequence < layer.chunk.sequences(); ++sequence)
      for (int head = 0; head < heads_; ++head) {
        float* const held = &layer.state(sequence, 2 * head);
        Sum sum{held[0], held[1]};
        for (int token = layer.chunk.first(sequence); token < layer.chunk.offsets[sequence + 1]; ++token) {
          const float x = gates(token, head);
          sum.add(std::min(x, 0.0F) - std::log1p(std::exp(-std::abs(x))));  // log sigmoid
          sums(token, head, 0) = sum.value;
          sums(token, head, 1) = sum.rest;
        }
        held[0] = sum.value;
        held[1] = sum.rest;
      }
    steps.own_work({.multiply_adds = 1.0 * tokens * heads_, .bytes = 4.0 * sizeof(float) * heads_});
    rows.marks = {sums.data(), static_cast<std::size_t>(sums.elements())};
    const ScoreHook* const hooks[] = {&steps.keep<Forget>(sums, heads_ / block_.kv_shape().kv_heads)};
    // The gate of a token is in the sums of this token and of all after it.
    steps.custom({.reads = {all_of(gates)}, .writes = {all_of(sums)}},
                 [gates, sums, chunk = layer.chunk](Gradients& of) {
                   const auto of_gates = of.of(gates);
                   const auto of_sums = of.of(sums);
                   for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
                     for (std::int64_t head = 0; head < gates.extent(1); ++head) {
                       float later = 0;
                       for (int token = chunk.offsets[sequence + 1]; token-- > chunk.first(sequence);) {
                         later += of_sums(token, head, 0);
                         of_gates(token, head) += later / (1 + std::exp(gates(token, head)));
                       }
                     }
                 });
    block_.attend(layer, hidden, rows, out, hooks);
  }

 private:
  SoftmaxBlock block_;
  int heads_, hidden_dim_;
  const Matrix* gate_ = nullptr;      // [heads, hidden_dim]
  std::span<const float> gate_bias_;  // [heads]
};

constexpr Component<AttentionVariant> kAttention[] = {component<AttentionVariant, Forgetting, ForgettingOptions>(
    {.id = "forgetting",
     .summary = "Scores fade by learned gates of all tokens since the key (FoX).",
     .reference = "arXiv:2503.02130"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "forgetting", .version = "1.0", .attention = kAttention);

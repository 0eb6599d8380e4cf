// The order of the steps is observable and fixed: project, norm of q and k, rotation, scale, position bias, softcap,
// mask, softmax with the sink logit, values, gate, output projection.
#include <attnlab/softmax_block.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include <attnlab/error.h>
#include <attnlab/ops.h>

#include "ops/vector_kernels.h"

namespace attnlab {
namespace {

class Softcap final : public ScoreHook {
 public:
  explicit Softcap(float cap) : cap_(cap) {}
  void apply(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        vec::softcap({&tile.scores(member, query, 0), tile.key_positions.size()}, cap_);
  }
  Derivative derivative() const noexcept override { return Derivative::own; }
  // Of c tanh(s / c): 1 - tanh(s / c)^2.
  void backward(const ScoreTile& before, const ScoreGradients& gradients) const override {
    std::array<float, kTileRows> capped;
    const std::size_t rows = before.key_positions.size();
    for (std::int64_t member = 0; member < before.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < before.scores.extent(1); ++query) {
        std::copy_n(&before.scores(member, query, 0), rows, capped.begin());
        vec::softcap(std::span(capped).first(rows), cap_);
        float* of = &gradients.scores(member, query, 0);
        for (std::size_t row = 0; row < rows; ++row) of[row] *= 1 - capped[row] / cap_ * (capped[row] / cap_);
      }
  }

 private:
  float cap_;
};

// LayerNorm of every head, in place, by the weight of the head; no bias.
void norm_heads(Steps& steps, std::span<const std::span<const float>> weights, float eps, TensorView<float, 3> rows) {
  const std::vector<float> none(static_cast<std::size_t>(rows.extent(2)));
  TensorView<float, 3> before = rows;
  if (steps.records()) {
    before = steps.rows(rows.extent(0), rows.extent(1), rows.extent(2));
    std::ranges::copy(all_of(rows), before.data());
  }
  for_each_index(static_cast<int>(rows.extent(0)), 4.0 * static_cast<double>(rows.elements()), [&](int token) {
    for (std::int64_t head = 0; head < rows.extent(1); ++head) {
      const std::span<float> row(&rows(token, head, 0), none.size());
      vec::layer_norm(row, weights[head], none, eps, row);
    }
  });
  steps.custom({.reads = {all_of(rows)}, .writes = {all_of(rows)}}, [weights, eps, rows, before, none](Gradients& of) {
    const TensorView<float, 3> of_rows = of.of(rows);
    std::vector<float> of_out(none.size()), of_bias(none.size());
    for (std::int64_t head = 0; head < rows.extent(1); ++head) {
      const std::span<float> of_weight = of.of_parameter(weights[head]);
      for (std::int64_t token = 0; token < rows.extent(0); ++token) {
        const std::span<float> of_row(&of_rows(token, head, 0), none.size());
        std::ranges::copy(of_row, of_out.begin());
        std::ranges::fill(of_row, 0.0F);
        vec::layer_norm_backward({&before(token, head, 0), none.size()}, weights[head], eps, of_out, of_row, of_weight,
                                 of_bias);
      }
    }
  });
}

}  // namespace

struct SoftmaxBlock::Parts {
  Parts(const AttentionModifiers& options, int kv_heads_, const CreateContext& context, BlockRows rows)
      : modifiers(options),
        has_rows(rows == BlockRows::own),
        heads(context.heads),
        kv_heads(kv_heads_),
        head_dim(context.head_dim),
        hidden_dim(context.hidden_dim),
        eps(context.rms_norm_eps),
        scale(options.scale > 0 ? static_cast<float>(options.scale)
                                : 1.0F / std::sqrt(static_cast<float>(context.head_dim))),
        mask(options.window),
        softcap(static_cast<float>(options.softcap)) {}

  AttentionModifiers modifiers;
  bool has_rows;  // of its own, and what projects them
  int heads, kv_heads, head_dim, hidden_dim;
  HeadPooling pooling = HeadPooling::mean;
  float eps;
  float scale;
  CausalMask mask;
  Softcap softcap;
  const Matrix* q_proj = nullptr;  // [heads * head_dim, hidden_dim]
  const Matrix* k_proj = nullptr;  // [kv_heads * head_dim, hidden_dim]; null without rows, as v_proj
  const Matrix* v_proj = nullptr;
  const Matrix* o_proj = nullptr;     // [hidden_dim, heads * head_dim]
  const Matrix* gate_proj = nullptr;  // [heads or heads * head_dim, hidden_dim]
  std::span<const float> q_bias, k_bias, v_bias, o_bias;
  std::vector<std::span<const float>> q_norm, k_norm;  // one, or one for each head
  std::span<const float> sinks;                        // [heads]

  // None without a norm.
  std::vector<std::string> norm_names(const char* of, int count) const {
    const std::string name = of + std::string("_norm");
    if (!modifiers.qk_norm) return {};
    if (modifiers.qk_norm_kind != QkNormKind::own) return {name + ".weight"};
    std::vector<std::string> names;
    for (int head = 0; head < count; ++head) names.push_back(name + "." + std::to_string(head) + ".weight");
    return names;
  }
  std::int64_t norm_width(int count) const {
    return modifiers.qk_norm_kind == QkNormKind::whole ? std::int64_t{count} * head_dim : head_dim;
  }
  void norm(Steps& steps, std::span<const std::span<const float>> weights, TensorView<float, 3> rows) const;

  int gate_width() const { return modifiers.gate == Gate::head ? heads : heads * head_dim; }
};

void SoftmaxBlock::Parts::norm(Steps& steps, std::span<const std::span<const float>> weights,
                               TensorView<float, 3> rows) const {
  if (weights.empty()) return;
  if (modifiers.qk_norm_kind == QkNormKind::heads) return steps.norm(rows, weights.front(), eps, rows);
  if (modifiers.qk_norm_kind == QkNormKind::own) return norm_heads(steps, weights, eps, rows);
  const TensorView<float, 3> whole(rows.data(), {rows.extent(0), 1, rows.extent(1) * rows.extent(2)});
  steps.norm(whole, weights.front(), eps, whole);
}

SoftmaxBlock::SoftmaxBlock(const AttentionModifiers& modifiers, int kv_heads, const CreateContext& context,
                           BlockRows rows)
    : parts_(std::make_unique<Parts>(modifiers, kv_heads, context, rows)) {
  if (kv_heads < 1 || context.heads % kv_heads != 0)
    throw Error("",
                std::to_string(context.heads) + " heads are not divisible by " + std::to_string(kv_heads) + " kv heads",
                "kv_heads must be a divisor of " + std::to_string(context.heads));
  if (modifiers.qk_norm && modifiers.qk_norm_kind == QkNormKind::own && kv_heads != context.kv_heads)
    throw Error("",
                "norms of single heads cannot be made from those of " + std::to_string(context.kv_heads) +
                    " kv heads for " + std::to_string(kv_heads),
                "keep the model's kv heads, or choose another kind of norm");
}

SoftmaxBlock::~SoftmaxBlock() = default;
SoftmaxBlock::SoftmaxBlock(SoftmaxBlock&&) noexcept = default;

Traits SoftmaxBlock::traits(const AttentionModifiers& modifiers, int kv_heads) {
  Traits traits{.provides = {Feature::kv_rows, Feature::attention_mass}};
  if (kv_heads == 1) traits.provides.add(Feature::single_kv_head);
  if (modifiers.window > 0) traits.provides.add(Feature::windowed);
  if (modifiers.sink_logit) traits.provides.add(Feature::several_maps);
  return traits;
}

void SoftmaxBlock::pool_heads(HeadPooling how) noexcept {
  parts_->pooling = how;
}

std::vector<ParameterSpec> SoftmaxBlock::parameters() const {
  const Parts& p = *parts_;
  const std::int64_t q_width = static_cast<std::int64_t>(p.heads) * p.head_dim;
  const std::int64_t kv_width = static_cast<std::int64_t>(p.kv_heads) * p.head_dim;
  const auto values = ParameterForm::values;
  std::vector<ParameterSpec> specs{{.name = "q_proj.weight", .shape = {q_width, p.hidden_dim}}};
  const auto of_rows = [&](const char* name, std::vector<std::int64_t> shape, ParameterForm form) {
    if (p.has_rows)
      specs.push_back(
          {.name = name, .shape = std::move(shape), .form = form, .convert_heads = p.kv_heads, .pooling = p.pooling});
  };
  of_rows("k_proj.weight", {kv_width, p.hidden_dim}, ParameterForm::matrix);
  of_rows("v_proj.weight", {kv_width, p.hidden_dim}, ParameterForm::matrix);
  specs.push_back({.name = "o_proj.weight", .shape = {p.hidden_dim, q_width}});
  if (p.modifiers.qkv_bias) {
    specs.push_back({.name = "q_proj.bias", .shape = {q_width}, .form = values});
    of_rows("k_proj.bias", {kv_width}, values);
    of_rows("v_proj.bias", {kv_width}, values);
  }
  if (p.modifiers.o_bias) specs.push_back({.name = "o_proj.bias", .shape = {p.hidden_dim}, .form = values});
  for (const std::string& name : p.norm_names("q", p.heads))
    specs.push_back({.name = name, .shape = {p.norm_width(p.heads)}, .form = values});
  for (const std::string& name : p.norm_names("k", p.kv_heads)) {
    if (p.modifiers.qk_norm_kind == QkNormKind::whole)
      of_rows(name.c_str(), {p.norm_width(p.kv_heads)}, values);
    else if (p.has_rows)
      specs.push_back({.name = name, .shape = {p.norm_width(p.kv_heads)}, .form = values});
  }
  if (p.modifiers.sink_logit) specs.push_back({.name = "sinks", .shape = {p.heads}, .form = values});
  if (p.modifiers.gate != Gate::none)
    specs.push_back({.name = "gate_proj.weight", .shape = {p.gate_width(), p.hidden_dim}});
  return specs;
}

void SoftmaxBlock::bind(const ParameterSet& parameters) {
  Parts& p = *parts_;
  p.q_proj = &parameters.matrix("q_proj.weight");
  p.o_proj = &parameters.matrix("o_proj.weight");
  if (p.modifiers.qkv_bias) p.q_bias = parameters.values("q_proj.bias");
  if (p.modifiers.o_bias) p.o_bias = parameters.values("o_proj.bias");
  for (const std::string& name : p.norm_names("q", p.heads)) p.q_norm.push_back(parameters.values(name));
  if (p.has_rows) {
    p.k_proj = &parameters.matrix("k_proj.weight");
    p.v_proj = &parameters.matrix("v_proj.weight");
    if (p.modifiers.qkv_bias) {
      p.k_bias = parameters.values("k_proj.bias");
      p.v_bias = parameters.values("v_proj.bias");
    }
    for (const std::string& name : p.norm_names("k", p.kv_heads)) p.k_norm.push_back(parameters.values(name));
  }
  if (p.modifiers.sink_logit) p.sinks = parameters.values("sinks");
  if (p.modifiers.gate != Gate::none) p.gate_proj = &parameters.matrix("gate_proj.weight");
}

KvShape SoftmaxBlock::kv_shape() const {
  return {.kv_heads = parts_->kv_heads, .key_dim = parts_->head_dim, .value_dim = parts_->head_dim};
}

int SoftmaxBlock::visible_window() const noexcept {
  return parts_->modifiers.window;
}

void SoftmaxBlock::forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out,
                           std::span<const ScoreHook* const> hooks) const {
  attend(layer, hidden, project(layer, hidden), out, hooks);
}

SoftmaxBlock::Projected SoftmaxBlock::project(const LayerContext& layer, TensorView<const float, 2> hidden,
                                              TensorView<float, 3> values) const {
  const Parts& p = *parts_;
  const int tokens = layer.chunk.tokens();
  Steps& steps = layer.steps;
  Projected rows{.q = steps.rows(tokens, p.heads, p.head_dim), .k = {}, .v = {}};
  if (!p.has_rows) {
    steps.project(hidden, {*p.q_proj, flat(rows.q), p.q_bias});
    return rows;
  }
  rows.k = steps.rows(tokens, p.kv_heads, p.head_dim);
  rows.v = values.data() != nullptr ? values : steps.rows(tokens, p.kv_heads, p.head_dim);
  const Projection projections[] = {
      {*p.q_proj, flat(rows.q), p.q_bias}, {*p.k_proj, flat(rows.k), p.k_bias}, {*p.v_proj, flat(rows.v), p.v_bias}};
  steps.project(hidden, projections);
  return rows;
}

void SoftmaxBlock::attend(const LayerContext& layer, TensorView<const float, 2> hidden, const Projected& rows,
                          TensorView<float, 2> out, std::span<const ScoreHook* const> hooks) const {
  const Parts& p = *parts_;
  const int tokens = layer.chunk.tokens();
  Steps& steps = layer.steps;
  auto mixed = steps.rows(tokens, p.heads, p.head_dim);
  p.norm(steps, p.q_norm, rows.q);
  p.norm(steps, p.k_norm, rows.k);
  if (p.has_rows) steps.append(rows.k, rows.v, rows.marks);
  thread_local std::vector<const ScoreHook*> all_hooks;
  all_hooks.clear();
  if (p.modifiers.softcap > 0) all_hooks.push_back(&p.softcap);
  all_hooks.insert(all_hooks.end(), hooks.begin(), hooks.end());
  steps.attend({.queries = rows.q, .scale = p.scale, .hooks = all_hooks, .mask = p.mask, .sink_logits = p.sinks},
               mixed);
  if (p.gate_proj != nullptr) {
    auto gates = steps.rows(tokens, p.gate_width());
    steps.project(hidden, {*p.gate_proj, gates});
    steps.gate(gates, mixed);
  }
  steps.project(flat(mixed), {*p.o_proj, out, p.o_bias});
}

}  // namespace attnlab

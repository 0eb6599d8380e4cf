// An attention block in which something else stands in place of the softmax, and nothing else is its own: projections,
// append, attend with the weights, output projection. A plugin is then its formula:
//
//   class SigmoidWeights final : public Weighting { void weigh(...) const noexcept override { ... } };
//   component<AttentionVariant, WeightedAttention<SigmoidWeights>, WeightedAttentionOptions>({.id = "sigmoid", ...})
//
// Not here: weights with parameters, and blocks with other steps; these call the steps of their layer (steps.h).
#pragma once

#include <concepts>
#include <tuple>
#include <vector>

#include <attnlab/attention_variant.h>
#include <attnlab/features.h>
#include <attnlab/head_projections.h>
#include <attnlab/options.h>
#include <attnlab/scores.h>
#include <attnlab/steps.h>

namespace attnlab {

struct WeightedAttentionOptions {
  std::int32_t kv_heads = 0;

  static constexpr auto fields() {
    return std::tuple{field("kv_heads", &WeightedAttentionOptions::kv_heads,
                            {.min = 0,
                             .doc = "Key/value heads; a divisor of the query heads. 0: as the model has.",
                             .from_model = "num_key_value_heads"})};
  }
};

/// `Weights`: a Weighting or a RowWeighting without parameters. Offers rows but no attention mass, and refuses caches
/// that let a query read some of its rows only: both are matters of the softmax. A Weighting of single scores also
/// refuses positions that need a query's whole row of scores.
template <class Weights>
requires std::derived_from<Weights, Weighting> || std::derived_from<Weights, RowWeighting>
class WeightedAttention final : public AttentionVariant {
 public:
  WeightedAttention(const WeightedAttentionOptions& options, const CreateContext& context)
      : projections_(options.kv_heads > 0 ? options.kv_heads : context.kv_heads, context) {}

  static Traits traits(const WeightedAttentionOptions& options) {
    Traits traits{.provides = {Feature::kv_rows}, .excludes = {Feature::selects_tiles}};
    if (options.kv_heads == 1) traits.provides.add(Feature::single_kv_head);
    if (std::derived_from<Weights, Weighting>) traits.excludes.add(Feature::row_bias);
    return traits;
  }

  std::vector<ParameterSpec> parameters() const override { return projections_.parameters(); }
  void bind(const ParameterSet& parameters) override { projections_.bind(parameters); }
  KvShape kv_shape() const override { return projections_.kv_shape(); }

  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    Steps& steps = layer.steps;
    const auto [q, k, v] = projections_.project(steps, hidden);
    auto mixed = steps.rows(layer.chunk.tokens(), projections_.heads(), projections_.head_dim());
    steps.append(k, v);
    AttendStep step{.queries = q, .scale = projections_.scale(), .mask = mask_};
    if constexpr (std::derived_from<Weights, RowWeighting>)
      step.row_weighting = &weights_;
    else
      step.weighting = &weights_;
    steps.attend(step, mixed);
    projections_.project_back(steps, mixed, out);
  }

 private:
  HeadProjections projections_;
  CausalMask mask_;
  Weights weights_;
};

}  // namespace attnlab

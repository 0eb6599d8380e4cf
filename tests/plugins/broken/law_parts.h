// What the plugins that break one law of the conformance kit share: an attention, positions and policies that keep all
// laws, so that each file is only what is wrong with it.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include <attnlab/eviction.h>
#include <attnlab/ops.h>

#include "plugins/broken/parts.h"

namespace attnlab::broken {

/// Changes nothing of what an attention answers.
struct NoFlaw {
  void operator()(const ChunkView&, TensorView<float, 2>) {}
};

/// Attention without weights, for models with hidden_dim = heads * head_dim: a head's queries are its share of the
/// layer's input, and so are keys and values. The flaw is called with the answer, out [tokens, hidden_dim].
template <class Mask, class Flaw = NoFlaw>
class FlawedAttention final : public AttentionVariant {
 public:
  FlawedAttention(const NoOptions&, const CreateContext& context)
      : heads_(context.heads), kv_heads_(context.kv_heads), head_dim_(context.head_dim) {}
  static Traits traits(const NoOptions&) { return {.provides = {Feature::kv_rows, Feature::attention_mass}}; }

  KvShape kv_shape() const override { return {.kv_heads = kv_heads_, .key_dim = head_dim_, .value_dim = head_dim_}; }
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override {
    const int tokens = layer.chunk.tokens();
    auto queries = layer.steps.rows(tokens, heads_, head_dim_);
    auto keys = layer.steps.rows(tokens, kv_heads_, head_dim_);
    auto values = layer.steps.rows(tokens, kv_heads_, head_dim_);
    for (const TensorView<float, 2> rows : {flat(queries), flat(keys), flat(values)})
      for (int token = 0; token < tokens; ++token) std::copy_n(&hidden(token, 0), rows.extent(1), &rows(token, 0));
    layer.steps.append(keys, values);
    layer.steps.attend({.queries = queries, .scale = 1 / std::sqrt(static_cast<float>(head_dim_)), .mask = mask_},
                       {out.data(), {tokens, heads_, head_dim_}});
    flaw_(layer.chunk, out);
  }

 private:
  int heads_, kv_heads_, head_dim_;
  Mask mask_;
  Flaw flaw_;
};

inline void scale_rows(TensorView<float, 2> rows, float factor) {
  for (std::int64_t row = 0; row < rows.extent(0); ++row)
    for (float& value : rows.row(row)) value *= factor;
}

/// A scheme that is a hook on scores, and says so.
template <class Hook>
class BiasedPosition final : public PositionScheme {
 public:
  BiasedPosition(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {.provides = {Feature::score_bias}}; }
  const ScoreHook* score_bias() const override { return &hook_; }

 private:
  Hook hook_;
};

/// A scheme that is a rotation.
template <class Turn>
class RotatedPosition final : public PositionScheme {
 public:
  RotatedPosition(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {}; }
  const Rotation* rotation() const override { return &turn_; }

 private:
  Turn turn_;
};

struct BudgetOptions {
  Budget budget = 256;
  static constexpr auto fields() {
    return std::tuple{field("budget", &BudgetOptions::budget, {.unit = "tokens", .doc = "Rows that stay."})};
  }
};

/// A policy that is an eviction rule, made from (context, options).
template <class Rule, class Options = NoOptions>
class RuledCache final : public CachePolicy {
 public:
  RuledCache(const Options& options, const CreateContext&) : options_(options) {}
  static Traits traits(const Options&) { return {.provides = {Feature::token_eviction}, .needs = {Feature::kv_rows}}; }
  std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const override {
    return rows_cache(context, std::make_unique<Rule>(context, options_));
  }

 private:
  Options options_;
};

/// The newest rows of every kv head stay.
inline void keep_newest(KvRows& rows, int sequence, int kv_heads, int keep) {
  for (int head = 0; head < kv_heads; ++head) {
    const std::span<const Position> positions = rows.positions(sequence, head);
    const std::vector<double> age(positions.begin(), positions.end());
    rows.drop(sequence, head, rows_to_drop(age, positions, keep));
  }
}

constexpr ComponentInfo broken_info(std::string_view id) {
  return {.id = id, .summary = "Breaks a law.", .reference = "none"};
}

}  // namespace attnlab::broken

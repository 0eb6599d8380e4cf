// Attention whose queries, keys and values are given instead of projected: recorded streams, rows from a seed. With it,
// code without a model drives a layer in the same way as a model does.
#pragma once

#include <attnlab/attention_variant.h>

namespace attnlab {

class ATTNLAB_API GivenAttention final : public AttentionVariant {
 public:
  GivenAttention(const KvShape& shape, int heads) : shape_(shape), heads_(heads) {}
  ~GivenAttention() override;

  /// Of the next call; queries [tokens, heads, key_dim], keys [tokens, kv_heads, key_dim], values [tokens, kv_heads,
  /// value_dim], dense, not rotated.
  void give(TensorView<const float, 3> queries, TensorView<const float, 3> keys, TensorView<const float, 3> values);
  /// Whether the next calls attend: always; only where the cache looks at the attention (its queries or its mass), so
  /// that what a policy decides by is there at no other cost; or never, so that a cache is shown the queries alone and
  /// no row has mass.
  enum class Attends : std::uint8_t { always, where_watched, never };
  void set_attends(Attends attends) noexcept { attends_ = attends; }

  [[nodiscard]] KvShape kv_shape() const override { return shape_; }
  /// out [tokens, heads * value_dim], untouched where the call does not attend; hidden is not read.
  void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) override;

 private:
  KvShape shape_;
  int heads_;
  Attends attends_ = Attends::always;
  CausalMask mask_;
  TensorView<const float, 3> queries_;
  TensorView<const float, 3> keys_;
  TensorView<const float, 3> values_;
};

}  // namespace attnlab

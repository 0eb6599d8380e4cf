// Means of the rows of complete blocks, for a variant that chooses among blocks or reads them. They are kept in the
// layer's state (AttentionVariant::summary_floats), so that a decode step does not read all rows again.
#pragma once

#include <cstdint>

#include <attnlab/attention_variant.h>

namespace attnlab {

class ATTNLAB_API BlockMeans {
 public:
  enum class Of : std::uint8_t { keys, keys_and_values };
  /// Block m holds the positions m * block .. (m + 1) * block - 1, of every kv head.
  BlockMeans(int block, const KvShape& shape, Of of = Of::keys)
      : block_(block),
        kv_heads_(shape.kv_heads),
        key_dim_(shape.key_dim),
        width_(shape.key_dim + (of == Of::keys ? 0 : shape.value_dim)) {}

  /// For AttentionVariant::summary_floats of a variant that keeps nothing else there.
  [[nodiscard]] std::int64_t floats(int tokens) const noexcept { return 1 + tokens / block_ * mean_floats(); }

  /// [blocks, kv_heads, key_dim], or key_dim + value_dim: the means of the first `blocks` blocks of a sequence, over
  /// keys, and behind them values, as the layer's cache holds them; the cache must hold all rows of these blocks. Means
  /// that the state does not hold yet are computed from the rows, and all means where the state has no room for them;
  /// the work is counted.
  [[nodiscard]] TensorView<const float, 3> of(const LayerContext& layer, int sequence, int blocks) const;

 private:
  [[nodiscard]] std::int64_t mean_floats() const noexcept { return std::int64_t{kv_heads_} * width_; }
  void add(const KvSource& rows, int sequence, int head, int known, TensorView<float, 3> means) const;

  int block_, kv_heads_, key_dim_, width_;
};

}  // namespace attnlab

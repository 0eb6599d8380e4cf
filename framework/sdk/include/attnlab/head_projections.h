// The projections that nearly every attention has: to queries, keys and values of heads, and back. Without biases; a
// variant that has other parameters declares them beside these.
#pragma once

#include <span>
#include <vector>

#include <attnlab/attention_variant.h>

namespace attnlab {

class ATTNLAB_API HeadProjections {
 public:
  /// Heads are context.heads over `kv_heads`, which must divide them: an Error otherwise.
  HeadProjections(int kv_heads, const CreateContext& context);

  /// q_proj, k_proj, v_proj, o_proj; a checkpoint with another number of kv heads is converted.
  [[nodiscard]] std::vector<ParameterSpec> parameters() const;
  void bind(const ParameterSet& parameters);

  struct Rows {
    TensorView<float, 3> q;  // [tokens, heads, head_dim]
    TensorView<float, 3> k;  // [tokens, kv_heads, head_dim]
    TensorView<float, 3> v;  // [tokens, kv_heads, head_dim]
  };
  /// hidden [tokens, hidden_dim]. `others`: further products of the same input, which share the parallel region.
  [[nodiscard]] Rows project(Steps& steps, TensorView<const float, 2> hidden,
                             std::span<const Projection> others = {}) const;
  /// mixed [tokens, heads, head_dim] -> out [tokens, hidden_dim].
  void project_back(Steps& steps, TensorView<float, 3> mixed, TensorView<float, 2> out) const;

  [[nodiscard]] int heads() const noexcept { return heads_; }
  [[nodiscard]] int kv_heads() const noexcept { return kv_heads_; }
  [[nodiscard]] int group() const noexcept { return heads_ / kv_heads_; }
  [[nodiscard]] int head_dim() const noexcept { return head_dim_; }
  [[nodiscard]] int hidden_dim() const noexcept { return hidden_dim_; }
  /// 1 / sqrt(head_dim)
  [[nodiscard]] float scale() const noexcept;
  [[nodiscard]] KvShape kv_shape() const noexcept { return {kv_heads_, head_dim_, head_dim_}; }

 private:
  int heads_, kv_heads_, head_dim_, hidden_dim_;
  const Matrix* q_ = nullptr;  // [heads * head_dim, hidden_dim]
  const Matrix* k_ = nullptr;  // [kv_heads * head_dim, hidden_dim]
  const Matrix* v_ = nullptr;
  const Matrix* o_ = nullptr;  // [hidden_dim, heads * head_dim]
};

}  // namespace attnlab

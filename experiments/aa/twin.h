// Grouped-query attention as `gqa` has it, to be built more than once under different names.
#pragma once

#include <attnlab/plugin.h>
#include <attnlab/softmax_block.h>

namespace {

struct TwinOptions : attnlab::AttentionModifiers {};

class Twin final : public attnlab::AttentionVariant {
 public:
  Twin(const TwinOptions& options, const attnlab::CreateContext& context)
      : block_(options, context.kv_heads, context) {}

  static attnlab::Traits traits(const TwinOptions& options) { return attnlab::SoftmaxBlock::traits(options, 0); }

  std::vector<attnlab::ParameterSpec> parameters() const override { return block_.parameters(); }
  void bind(const attnlab::ParameterSet& parameters) override { block_.bind(parameters); }
  attnlab::KvShape kv_shape() const override { return block_.kv_shape(); }
  void forward(const attnlab::LayerContext& layer, attnlab::TensorView<const float, 2> hidden,
               attnlab::TensorView<float, 2> out) override {
    block_.forward(layer, hidden, out);
  }

 private:
  attnlab::SoftmaxBlock block_;
};

}  // namespace

#include "steps/model_steps.h"

namespace attnlab {

void run_layer(ModelSteps& steps, AttentionVariant& attention, const LayerPass& pass, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) {
  const LayerContext layer{pass.chunk, pass.cache, pass.position, steps, pass.state};
  {
    const Steps::Scope scope(steps);
    steps.layer_number_ = pass.layer;
    steps.histories_ = pass.histories;
    steps.enter(&layer, attention.kv_shape());
    attention.forward(layer, hidden, out);
    steps.enter(nullptr, {});
  }
  if (pass.ends_rows) pass.cache.end_chunk(pass.chunk);
}

}  // namespace attnlab

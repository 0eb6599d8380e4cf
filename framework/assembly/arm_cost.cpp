#include "assembly/arm_cost.h"

namespace attnlab::experiment {

ArmCost cost_of(const ResolvedArm& arm, const model::Decoder& decoder, const model::Session& session) {
  ArmCost cost;
  cost.layer_weights = static_cast<double>(decoder.layer_weights());
  cost.head_weights = static_cast<double>(decoder.head_weights());
  cost.weight_bytes_read = static_cast<double>(decoder.weight_bytes_per_step());
  for (int layer = 0; layer < session.layers(); ++layer) {
    const KvShape shape = session.shape(layer);
    cost.pair_width += decoder.config().heads * (shape.key_dim + shape.value_dim);
    if (shape.kv_heads > 0 && session.owns_rows(layer))
      cost.row_bytes += shape.kv_heads * arm.layers[layer].cache.rows->row_bytes(shape);
    cost.state_bytes += sizeof(float) * static_cast<double>(decoder.state_floats(layer));
  }
  return cost;
}

}  // namespace attnlab::experiment

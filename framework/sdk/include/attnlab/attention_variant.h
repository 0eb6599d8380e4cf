// One layer's attention block, projections included: what `self_attn` is in the reference models.
#pragma once

#include <span>

#include <attnlab/cache_policy.h>
#include <attnlab/chunk.h>
#include <attnlab/core.h>
#include <attnlab/module.h>
#include <attnlab/position_scheme.h>
#include <attnlab/steps.h>

namespace attnlab {

/// Borrowed for one call; nothing here is global.
struct LayerContext {
  const ChunkView& chunk;
  LayerCache& cache;
  const PositionScheme& position;
  Steps& steps;
  TensorView<float, 2> state = {};  // [sequences, state_floats + summary_floats], zeros before the first token
};

class ATTNLAB_API AttentionVariant : public Module {
 public:
  /// What one cached row holds; kv_heads 0: the variant keeps no rows.
  virtual KvShape kv_shape() const = 0;
  /// Numbers of a state that does not grow with the sequence, for each sequence. Kept by the model between calls.
  virtual std::int64_t state_floats() const { return 0; }
  /// Numbers after the fixed state that grow with the sequence (means of blocks of rows), so that a step need not read
  /// all rows again for what an earlier step computed. Returns how many there are for `tokens` tokens. The host
  /// allocates them for the longest sequence that the session was created for. The cache may hold rows that this
  /// layer's forward has not seen.
  virtual std::int64_t summary_floats(int /*tokens*/) const { return 0; }
  /// The layer whose rows this one reads: an earlier one with rows of the same shape. The reading layer then appends no
  /// rows and declares no projections for them; the cache policy acts after the last layer that reads the rows has
  /// attended. -1: rows of its own.
  /// Brandon et al. 2024.
  virtual int kv_layer() const { return -1; }
  /// Newest keys that a query sees, its own included; older keys are masked in every head. 0: all are seen.
  virtual int visible_window() const { return 0; }
  /// The most rows that a query head sees, wherever they are, however long the sequence is; 0: there is no bound. By
  /// default that of the window; a variant that chooses among blocks of rows says how many it reads.
  virtual int visible_rows() const { return visible_window(); }
  /// hidden [tokens, hidden_dim] -> out, same shape. Appends this chunk's keys and values, then attends.
  /// Called by one thread; parallel work goes through the layer's steps and `for_each_index`.
  virtual void forward(const LayerContext& layer, TensorView<const float, 2> hidden, TensorView<float, 2> out) = 0;
};

}  // namespace attnlab

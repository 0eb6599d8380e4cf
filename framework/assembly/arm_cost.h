// What the forward passes of an arm's model cost, before anything runs: counted in a few passes over a few tokens of
// the arm's own model, so that what a variant does (which form it takes, what it packs, which heads it mixes) is asked
// and not guessed from shapes. Not here: how long it takes (workloads/forward_time.h), and costs at the lengths of a
// case, which follow from these and from what variants and caches say of the rows that a query sees.
#pragma once

#include <limits>
#include <vector>

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

#include "assembly/arm_model.h"
#include "model/decoder.h"

namespace attnlab::experiment {

/// One layer in one phase, its MLP included. Multiply-adds and bytes.
struct PassCost {
  double weights_per_token = 0;  // multiply-adds with weights
  double weights_per_row = 0;    // the same of every cached row, in each pass anew: rows that a variant expands
  double heads = 0;              // query heads that attend
  double per_pair = 0;           // of a query head and a row that it sees, a mixture of heads included
  double own_per_token = 0;      // a variant's own work between its steps: a scan over a state
  double weight_bytes = 0;       // read by a pass
  double cached_bytes = 0;       // of a row of all kv heads, where it is read as it is held
  double made_bytes = 0;         // of a row, where a variant makes others of it
  double state_bytes = 0;        // read and written by a sequence's own work
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(PassCost, weights_per_token, weights_per_row, heads, per_pair, own_per_token,
                                 weight_bytes, cached_bytes, made_bytes, state_bytes)
};

struct LayerCost {
  PassCost prefill, decode;
  int visible_rows = 0;  // that a query sees at most; 0: all
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(LayerCost, prefill, decode, visible_rows)
};

struct ArmCost {
  std::vector<LayerCost> layers;
  double head_weights = 0;  // multiply-adds of one row of logits
  double head_bytes = 0;
  double row_bytes = 0;  // of one token in the caches of all layers, as the storages hold it
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(ArmCost, layers, head_weights, head_bytes, row_bytes)
};

/// Counts the passes of a model that may be without weights: their products are not computed. `length`: tokens that a
/// sequence may reach, of which shares are taken.
[[nodiscard]] ATTNLAB_API ArmCost cost_of(model::Decoder& decoder, int length);

/// Of one token in the caches of all layers, as the storages hold it.
[[nodiscard]] ATTNLAB_API double row_bytes(const model::Decoder& decoder);

/// The rows that a layer's cache keeps of a sequence, by its own account (LayerCache::row_limit).
struct KeptRows {
  double most = std::numeric_limits<double>::infinity();
  bool is_after_prompt = false;  // it is left so at the end of the prompt, and every step adds a row
  bool is_seen_so = false;       // older rows are hidden from queries of the same chunk, too
};
/// [layers] of the session's longest sequence.
[[nodiscard]] ATTNLAB_API std::vector<KeptRows> kept_rows(const ResolvedArm& arm, const Registry& registry,
                                                          model::Session& session);

/// Bytes of a sequence's states and summaries in all layers, where the longest sequence of its session may reach
/// `length` tokens.
[[nodiscard]] ATTNLAB_API double state_bytes(const model::Decoder& decoder, int length);

}  // namespace attnlab::experiment

// A state of fixed size in place of rows: each token fades it, writes its value under its key, and reads it by its
// queries. What linear attention with decay, retention and the gated delta rule have in common, with its derivative.
// Not here: how decays and rates are made of a projection, and normalisers.
#pragma once

#include <cstdint>

#include <attnlab/attention_variant.h>

namespace attnlab {

/// Rows of one call. A state S [d, d], by key channel, belongs to `states` heads; query heads are a multiple of states,
/// states a multiple of kv heads, and each group shares its state or its key.
///   plain: S = diag(exp(a)) S + k v'          out = scale S' q
///   delta: S = diag(exp(a)) S, then S = S + b k (v - S' k)'
/// Katharopoulos et al. 2020; Sun et al. 2023; Yang et al. 2024, 2025. One token of a sequence is a step of this
/// recurrence; more of them are products of blocks of 64, Yang et al. 2023.
struct StateRows {
  TensorView<const float, 3> q;                // [tokens, heads, d]
  TensorView<const float, 3> k;                // [tokens, kv_heads, d]
  TensorView<const float, 3> v;                // [tokens, kv_heads, d]
  TensorView<const float, 3> log_decays = {};  // [tokens, states, d], or [tokens, states, 1] for one a
                                               // state; without data nothing fades, and each kv head has a state
  TensorView<const float, 2> rates = {};       // [tokens, states] b of the delta rule; without data: the plain form
  float scale = 1;
};

/// out [tokens, heads, d]. The states of a sequence are the first states * d * d numbers of its row in `layer.state`,
/// and move on. Parallel over sequences and states. Its operations and bytes are reported, its derivative is recorded
/// from states of zeros.
ATTNLAB_API void scan_states(const LayerContext& layer, const StateRows& rows, TensorView<float, 3> out);

}  // namespace attnlab

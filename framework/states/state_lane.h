// The tokens of one state of one sequence, as the rows of a scan have them.
#pragma once

#include <algorithm>
#include <cmath>

#include <attnlab/api.h>
#include <attnlab/state_scan.h>

#include "states/state_kernels.h"

namespace attnlab {

/// States of the rows: as many as there are decays, or one a kv head.
[[nodiscard]] inline std::int64_t states_of(const StateRows& rows) {
  return rows.log_decays.data() == nullptr ? rows.k.extent(1) : rows.log_decays.extent(1);
}

struct StateLane {
  const StateRows& rows;
  int state, kv_head, first_head, heads;  // query heads of the state
  std::int64_t d;

  StateLane(const StateRows& of, int index)
      : rows(of),
        state(index),
        kv_head(static_cast<int>(index / (states_of(of) / of.k.extent(1)))),
        first_head(static_cast<int>(index * (of.q.extent(1) / states_of(of)))),
        heads(static_cast<int>(of.q.extent(1) / states_of(of))),
        d(of.k.extent(2)) {}

  [[nodiscard]] bool is_delta() const { return rows.rates.data() != nullptr; }
  [[nodiscard]] bool fades() const { return rows.log_decays.data() != nullptr; }
  [[nodiscard]] bool has_one_decay() const { return rows.log_decays.extent(2) == 1; }
  [[nodiscard]] const float* key(int token) const { return &rows.k(token, kv_head, 0); }
  [[nodiscard]] const float* value(int token) const { return &rows.v(token, kv_head, 0); }
  [[nodiscard]] float rate(int token) const { return rows.rates(token, state); }
  [[nodiscard]] float log_decay(int token, std::int64_t channel) const {
    return rows.log_decays(token, state, has_one_decay() ? 0 : channel);
  }
  /// decays [d]
  void decays(int token, float* to) const {
    if (!fades())
      std::fill_n(to, d, 1.0F);
    else if (has_one_decay())
      std::fill_n(to, d, std::exp(log_decay(token, 0)));
    else
      find_decays(&rows.log_decays(token, state, 0), d, to);
  }
};

inline constexpr int kStateBlock = 64;  // tokens that are computed at once

/// The state [d, d] moves on by one token, of which `out` is set.
ATTNLAB_API void step_lane(const StateLane& lane, int token, float* state, TensorView<float, 3> out);
/// The same for tokens first .. end, in blocks.
ATTNLAB_API void run_lane(const StateLane& lane, int first, int end, float* state, TensorView<float, 3> out);

/// Gradients of the rows of a scan; kv heads that several states share have one of their own for each state.
struct StateGradients {
  TensorView<const float, 3> out;   // [tokens, heads, d]
  TensorView<float, 3> q;           // [tokens, heads, d]; added to, as all that follow
  TensorView<float, 3> k, v;        // [tokens, states, d]
  TensorView<float, 3> log_decays;  // as the decays
  TensorView<float, 2> rates;
};
/// The derivative of run_lane from a state of zeros.
ATTNLAB_API void undo_lane(const StateLane& lane, int first, int end, const StateGradients& of);

}  // namespace attnlab

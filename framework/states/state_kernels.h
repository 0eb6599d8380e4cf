// The arithmetic of a state [d, d] that fades, is written under a key and read by queries (attnlab/state_scan.h), for
// one token: each function goes over the state once. Many tokens at once: state_block.h.
#pragma once

#include <cstdint>

namespace attnlab {

/// state = diag(decays) state + key written'; out [heads], `out_stride` apart, = scale state' q.
struct StateStep {
  float* state;
  std::int64_t d;
  const float* decays;   // [d]
  const float* key;      // [d]
  const float* written;  // [d]
  int heads;
  const float* queries;  // head h's number i at queries[h * queries_stride + i]
  std::int64_t queries_stride;
  float scale;
  float* out;
  std::int64_t out_stride;
};
void step_state(const StateStep& step);

/// decays [d] = exp(log_decays), which may be the same numbers
void find_decays(const float* log_decays, std::int64_t d, float* decays);
/// recalled [d] = state' diag(decays) key: what a faded state holds under the key.
void recall_state(const float* state, std::int64_t d, const float* decays, const float* key, float* recalled);

}  // namespace attnlab

// The arithmetic of a state [d, d] that fades, is written under a key and read by queries (attnlab/state_scan.h), one
// token at a time: each function goes over the state once.
#pragma once

#include <cstdint>

#include <attnlab/api.h>

namespace attnlab {

/// Query heads that read a state: head h's number i at queries[h * stride + i].
struct StateReaders {
  int heads = 0;
  const float* queries = nullptr;
  std::int64_t stride = 0;
  float scale = 1;
};

/// after = diag(decays) before + key written', which may be the same matrix; out [heads], `out_stride` apart, = scale
/// after' q where `out` is given.
struct StateStep {
  const float* before;
  float* after;
  std::int64_t d;
  const float* decays;   // [d]
  const float* key;      // [d]
  const float* written;  // [d]
  StateReaders readers = {};
  float* out = nullptr;
  std::int64_t out_stride = 0;
};
ATTNLAB_API void step_state(const StateStep& step);

/// decays [d] = exp(log_decays)
ATTNLAB_API void find_decays(const float* log_decays, std::int64_t d, float* decays);
/// recalled [d] = before' diag(decays) key: what a faded state holds under the key.
ATTNLAB_API void recall_state(const float* before, std::int64_t d, const float* decays, const float* key,
                              float* recalled);

/// The derivative of a step, in two passes. of_state [d, d]: the gradient of the state after the step without what the
/// token reads of it; it becomes that of the state before.
struct StateStepBackward {
  const float* before;
  const float* after;
  std::int64_t d;
  const float* decays;
  const float* key;
  const float* written;
  StateReaders readers;
  const float* of_out;  // [heads, d], of_out_stride apart
  std::int64_t of_out_stride;
  float* of_state;
  float* of_queries;  // [heads, d], of_queries_stride apart; added to
  std::int64_t of_queries_stride;
  float* of_key;      // [d]; added to
  float* of_written;  // [d]; replaced
  float* of_decays;   // [d], of the decays themselves; replaced
  bool recalls;       // the written value depends on what was recalled
};
/// The reads, then what was written: of_queries, of_written, and of_key's part of it.
void undo_reads(const StateStepBackward& step);
/// Then, with of_recalled [d] in of_written where the step recalls, the fading: of_decays, the rest of of_key, and the
/// state before.
void undo_fading(const StateStepBackward& step);

}  // namespace attnlab

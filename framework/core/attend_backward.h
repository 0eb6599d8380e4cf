// The derivative of `attend`, for every variant of it: streaming, with the scores of a tile computed again, so that no
// buffer of all pairs of tokens is needed. Dao 2023 (FlashAttention-2), section 3.1.2.
#pragma once

#include <span>

#include <attnlab/gradients.h>

#include "core/attend.h"

namespace attnlab {

/// Gradients of the rows of a source that holds nothing but the rows of one chunk: row of position p of a sequence is
/// that of the sequence's token p. Added to.
struct RowGradients {
  ChunkView chunk;              // that appended the rows; a call of `attend` may be about a part of it
  TensorView<float, 3> keys;    // [tokens, kv_heads, key_dim], of keys as they were appended to the source
  TensorView<float, 3> values;  // [tokens, kv_heads, value_dim]
  TensorView<float, 3> marks;   // [tokens, kv_heads, KvShape::marks]
};

struct AttendGradients {
  TensorView<const float, 3> out;           // [tokens, heads, value_dim]
  TensorView<const float, 2> log_sum = {};  // [tokens, heads], or without data: nothing was made of it
  TensorView<float, 3> queries;             // [tokens, heads, key_dim], not rotated; added to
  RowGradients rows;
  Gradients& others;  // of sink logits, and of what hooks and weightings read
};

/// Error where a hook or weighting has no derivative: a sentence that says which kind of thing lacks it.
ATTNLAB_API void check_differentiable(const AttendArgs& args);

/// out and log_sum: what `attend` gave for the same arguments and the same rows. Parallel over sequences and kv heads,
/// each of which one task owns; results do not depend on the number of threads.
ATTNLAB_API void attend_backward(const AttendArgs& args, TensorView<const float, 3> out,
                                 TensorView<const float, 2> log_sum, const AttendGradients& gradients);

}  // namespace attnlab

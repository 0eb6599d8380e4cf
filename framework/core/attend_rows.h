// Attention that needs a query's whole row of scores at once: for a RowBias, or for the weights of a RowWeighting in
// place of the softmax. Not streamed: a block of queries holds the scores of all rows that it may see, so it is the way
// of what needs it only.
#pragma once

#include "core/attend.h"

namespace attnlab {

/// What `attend` does where AttendArgs::needs_whole_rows; out [tokens, heads, value_dim], log_sum [tokens, heads] or
/// nothing.
void attend_rows(const AttendArgs& args, TensorView<float, 3> out, TensorView<float, 2> log_sum, AttendTime* time);

}  // namespace attnlab

// Attention whose weights are made of a query's whole row of scores, by a RowWeighting in place of the softmax. Not
// streamed: a block of queries holds the scores of all rows that it may see, so it is the way of what needs it only.
#pragma once

#include "core/attend.h"

namespace attnlab {

/// What `attend` does where `row_weighting` is given; out [tokens, heads, value_dim].
void attend_rows(const AttendArgs& args, TensorView<float, 3> out);

}  // namespace attnlab

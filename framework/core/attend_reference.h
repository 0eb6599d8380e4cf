// Attention as its formula says it, in double precision: for one query, score every row, hooks, masks, softmax, mix the
// values. No tiles, no running maximum, no split. Slow; what CheckingSteps hold the core against.
#pragma once

#include <span>
#include <vector>

#include <attnlab/api.h>

#include "core/attend.h"

namespace attnlab {

/// A query head of a token of the chunk.
struct QueryOfHead {
  int token = 0;
  int head = 0;
};
/// [queries, value_dim]: what `attend` gives these for the same arguments; log_sums [queries], where it is given and
/// there is no weighting, the same of log_sum. Reads rows through the source, without its mass, query and selection
/// sides: every row that is seen is read.
ATTNLAB_API std::vector<double> attend_reference(const AttendArgs& args, std::span<const QueryOfHead> queries,
                                                 std::span<double> log_sums = {});
/// Positions of the rows whose scores neither a hook nor a mask turns to -infinity, in no order.
[[nodiscard]] ATTNLAB_API std::vector<Position> seen_positions(const AttendArgs& args, QueryOfHead query);

}  // namespace attnlab

// Counts the pairs of a query and a row that it sees, by the masks and the selection of a call of `attend`: tile by
// tile where a mask covers the whole tile, else row by row. Operations are counted by these pairs, independently of how
// the core splits and skips tiles.
#pragma once

#include <attnlab/api.h>

#include "core/attend.h"

namespace attnlab {

struct SeenPairs {
  double pairs = 0;  // of a query head and a row
  double rows = 0;   // of a kv head, that at least one query of the call sees
};

/// Asks the source's selector, but neither its mass nor its query side.
[[nodiscard]] ATTNLAB_API SeenPairs count_seen(const AttendArgs& args);

}  // namespace attnlab

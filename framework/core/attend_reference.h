// Attention as its formula says it, in double precision: for one query, score every row, hooks, masks, softmax, mix the
// values. No tiles, no running maximum, no split. Slow; for tests and for the conformance kit, which watches `attend`
// through an observer.
#pragma once

#include <span>
#include <vector>

#include <attnlab/api.h>

#include "core/attend.h"

namespace attnlab {

/// out [tokens, heads, value_dim] of `attend` for the same arguments. Reads rows through the source, without its mass,
/// query and selection sides: every row that is seen is read.
ATTNLAB_API std::vector<double> attend_reference(const AttendArgs& args);

/// A query head of a token of the chunk.
struct QueryOfHead {
  int token = 0;
  int head = 0;
};
/// [queries, value_dim]: of these alone.
ATTNLAB_API std::vector<double> attend_reference(const AttendArgs& args, std::span<const QueryOfHead> queries);

/// Sees every call of `attend` of the process after it was answered. Not for more than one thread.
class ATTNLAB_API AttendObserver {
 public:
  virtual ~AttendObserver();
  virtual void attended(const AttendArgs& args, TensorView<const float, 3> out) = 0;
};

/// Null: nobody. Returns who observed before.
ATTNLAB_API AttendObserver* observe_attend(AttendObserver* observer);

}  // namespace attnlab

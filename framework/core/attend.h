// The tiled attention core: one call answers all queries of a chunk over the rows of a source. What `Steps::attend`
// does.
#pragma once

#include <span>

#include <attnlab/api.h>
#include <attnlab/core.h>

namespace attnlab {

struct AttendArgs {
  TensorView<const float, 3> queries;  // [tokens, heads, key_dim], not rotated: the core rotates what it packs
  const ChunkView& chunk;
  const KvSource& source;
  float scale;
  const Rotation* rotation = nullptr;            // applied to queries, and to keys that come unrotated
  std::span<const ScoreHook* const> hooks = {};  // applied in this order: position bias, then the variant's own
  const MaskRule& mask;                          // applied last
  std::span<const float> sink_logits = {};       // [heads] or empty: one more logit a head, without a value
  // In place of the softmax, one of the two; then no sink logits, no log_sum, no mass, no selection of tiles.
  const Weighting* weighting = nullptr;
  const RowWeighting* row_weighting = nullptr;
};

/// What calls of `attend` have cost: a clock read at both ends of a call, and around what is done for mass.
struct AttendTime {
  double seconds = 0;              // as the caller waits
  double mass_thread_seconds = 0;  // of it for attention mass, summed over threads
};

/// out [tokens, heads, value_dim] = softmax(scale q k' + hooks, masked) v, or with the weighting's weights, for every
/// sequence of the chunk over all rows of the source. A query that sees no row gets zeros. log_sum [tokens, heads],
/// where it is given: the logarithm of the sum of exp(score) over all rows that are seen, the sink logit included;
/// -infinity where nothing is. Parallel inside; results do not depend on the number of threads. `time`, where it is
/// given, is added to. Streaming softmax over tiles: Milakov & Gimelshein 2018, Dao et al. 2022.
ATTNLAB_API void attend(const AttendArgs& args, TensorView<float, 3> out, TensorView<float, 2> log_sum = {},
                        AttendTime* time = nullptr);

}  // namespace attnlab

// The tiled attention core: one call answers all queries of a chunk over the rows of a source. What `Steps::attend`
// does.
#pragma once

#include <span>

#include <attnlab/api.h>
#include <attnlab/core.h>

#include "base/element.h"

namespace attnlab {

struct AttendArgs {
  TensorView<const float, 3> queries;  // [tokens, heads, key_dim], not rotated: the core rotates what it packs
  const ChunkView& chunk;
  const KvSource& source;
  float scale;
  const Rotation* rotation = nullptr;  // applied to queries, and to keys that come unrotated
  const RowBias* row_bias = nullptr;   // added before the hooks; not with a weighting, nor a selection of tiles
  std::span<const ScoreHook* const> hooks = {};  // applied in this order: position bias, then the variant's own
  const MaskRule& mask;                          // applied last
  std::span<const float> sink_logits = {};       // [heads] or empty: one more logit a head, without a value
  // In place of the softmax, one of the two; then no sink logits, no log_sum, no mass, no selection of tiles.
  const Weighting* weighting = nullptr;
  const RowWeighting* row_weighting = nullptr;
  // What products with keys and values multiply, where a sequence has many tokens (multiplied_in); sums are of f32.
  // bf16 needs a CPU with instructions for it.
  Arithmetic compute = Arithmetic::f32;

  /// Whether a block of queries needs the scores of all its rows at once.
  [[nodiscard]] bool needs_whole_rows() const noexcept { return row_weighting != nullptr || row_bias != nullptr; }
};

/// What queries, keys, weights and values of a sequence are rounded to before they are multiplied: args.compute where
/// the call has more than 8 tokens of it and no whole rows are needed, else f32 (where reading rows is what takes the
/// time).
[[nodiscard]] ATTNLAB_API Arithmetic multiplied_in(const AttendArgs& args, int sequence) noexcept;

/// Queries of neighbouring heads for one token, before rotation and scaling: [kv_heads, group, key_dim].
[[nodiscard]] inline TensorView<const float, 3> queries_of(const AttendArgs& args, int token, int first_head,
                                                           std::int64_t kv_heads, std::int64_t group) {
  const std::int64_t stride = args.queries.stride(1);
  return {&args.queries(token, first_head, 0), {kv_heads, group, args.queries.extent(2)}, {group * stride, stride, 1}};
}

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

// About how much there is to do for a call of the core, to decide whether it is split over threads.
#pragma once

#include "core/attend.h"
#include "parallel/parallel.h"

namespace attnlab {

/// Of the queries of one kv head, `tokens` of each query head that reads it, over all rows of `tiles` tiles.
inline Work attend_work(const AttendArgs& args, int tokens, int tiles) {
  constexpr double ns_of_task = 300;   // working memory, the packed queries, what is written
  constexpr double ns_of_score = 0.1;  // the softmax
  constexpr double ns_of_own = 1;      // a hook, or another weighting: not known, so a function call a score
  const KvShape shape = args.source.shape();
  const double queries = static_cast<double>(tokens) * static_cast<double>(args.queries.extent(1)) / shape.kv_heads;
  const double rows = static_cast<double>(tiles) * kTileRows;
  const auto own = static_cast<double>(args.hooks.size()) + (args.row_bias != nullptr ? 1 : 0) +
                   (args.weighting != nullptr || args.row_weighting != nullptr ? 1 : 0);
  // Rows are read once, and perhaps decoded or rotated; products of several queries share what was read.
  const double numbers = rows * (shape.key_dim + shape.value_dim);
  return Work{ns_of_task} + Work::multiply_adds(numbers * (2 + queries) / 4) +
         Work{queries * rows * (ns_of_score + own * ns_of_own)};
}

/// Of a whole call.
inline Work attend_work(const AttendArgs& args) {
  Work work{0};
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence)
    for (int head = 0; head < args.source.shape().kv_heads && args.chunk.tokens_of(sequence) > 0; ++head)
      work = work + attend_work(args, args.chunk.tokens_of(sequence), args.source.tiles(sequence, head));
  return work;
}

/// Of its gradients: the products again, and four more.
inline Work attend_backward_work(const AttendArgs& args) {
  return {3 * attend_work(args).ns};
}

}  // namespace attnlab

// Random rows and queries through a cache, as a layer without weights gives them.
#pragma once

#include <attnlab/cache_policy.h>

#include "reference/streams.h"
#include "steps/direct_steps.h"
#include "steps/given_attention.h"

namespace attnlab::reference {

/// The next tokens of the cache's sequences, and the end of their chunk; [tokens, heads * value_dim].
inline std::vector<float> feed_random_rows(LayerCache& cache, const ChunkView& chunk, int heads, Stream& stream) {
  const KvShape shape = cache.shape();
  const std::int64_t tokens = chunk.tokens();
  const std::vector<float> queries = stream.normals(tokens * heads * shape.key_dim);
  const std::vector<float> keys = stream.normals(tokens * shape.kv_heads * shape.key_dim);
  const std::vector<float> values = stream.normals(tokens * shape.kv_heads * shape.value_dim);
  GivenAttention attention(shape, heads);
  attention.give(rows_view(queries, heads, shape.key_dim), rows_view(keys, shape.kv_heads, shape.key_dim),
                 rows_view(values, shape.kv_heads, shape.value_dim));
  std::vector<float> out(static_cast<std::size_t>(tokens * heads * shape.value_dim));
  Scratch scratch;
  DirectSteps steps(scratch);
  const PositionScheme no_positions;
  run_layer(steps, attention, {.chunk = chunk, .cache = cache, .position = no_positions}, {},
            matrix_view(out, std::int64_t{heads} * shape.value_dim));
  return out;
}

}  // namespace attnlab::reference

// Random rows and queries through a cache, as a layer gives them: appended, attended, and the chunk ended.
#pragma once

#include <attnlab/cache_policy.h>

#include "core/attend.h"

#include "reference/streams.h"

namespace attnlab::reference {

inline void feed_random_rows(LayerCache& cache, const ChunkView& chunk, int heads, Stream& stream) {
  const KvShape shape = cache.shape();
  const std::int64_t tokens = chunk.tokens();
  const std::vector<float> queries = stream.normals(tokens * heads * shape.key_dim);
  const std::vector<float> keys = stream.normals(tokens * shape.kv_heads * shape.key_dim);
  const std::vector<float> values = stream.normals(tokens * shape.kv_heads * shape.value_dim);
  cache.append(chunk, {rows_view(keys, shape.kv_heads, shape.key_dim),
                       rows_view(values, shape.kv_heads, shape.value_dim)});
  const CausalMask causal;
  std::vector<float> out(static_cast<std::size_t>(tokens * heads * shape.value_dim));
  attend({.queries = rows_view(queries, heads, shape.key_dim),
          .chunk = chunk,
          .source = cache,
          .scale = 0.25F,
          .mask = causal},
         rows_view(out, heads, shape.value_dim));
  cache.end_chunk(chunk);
}

}  // namespace attnlab::reference

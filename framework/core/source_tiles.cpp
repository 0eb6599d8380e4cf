// Rows of a source for callers outside the core. The scratch that a source may need to decode a tile is made here.
#include <attnlab/core.h>
#include <attnlab/scratch.h>

#include "core/query_block.h"

namespace attnlab {

void for_each_tile(const KvSource& source, int sequence, int kv_head, const std::function<bool(const KvTile&)>& visit) {
  thread_local Scratch kept;
  const Scratch::Scope scope(kept);
  const KvShape shape = source.shape();
  static_assert(sizeof(Position) == sizeof(float));
  TileScratch room{.keys = kept.floats(std::int64_t{padded(shape.key_dim)} * kTileRows),
                   .values = kept.floats(std::int64_t{padded(shape.value_dim)} * kTileRows),
                   .positions = {reinterpret_cast<Position*>(kept.floats(kTileRows).data()), kTileRows}};
  for (int index = source.tiles(sequence, kv_head) - 1; index >= 0; --index)
    if (!visit(source.tile(sequence, kv_head, index, room))) return;
}

}  // namespace attnlab

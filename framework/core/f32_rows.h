// Cached rows in f32, in blocks of one tile: keys channel by channel, as the score product reads them, values row by
// row. Tiles are handed out in place.
#pragma once

#include <memory>

#include <attnlab/cache_policy.h>

namespace attnlab {

/// `capacity`: rows that a (sequence, kv head) may reach; only address space is set aside for it. 0: not known.
ATTNLAB_API std::unique_ptr<KvRows> f32_rows(const KvShape& shape, int sequences, int capacity);

}  // namespace attnlab

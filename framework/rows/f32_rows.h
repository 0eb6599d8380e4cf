// Cached rows as they are, in f32 and without pages: the reference that layers are compared with. Tiles are handed out
// in place: keys channel by channel, as the score product reads them, values row by row.
#pragma once

#include <memory>

#include <attnlab/cache_policy.h>

namespace attnlab {

/// `capacity`: rows that a (sequence, kv head) may reach; only address space is set aside for it. 0: not known.
[[nodiscard]] ATTNLAB_API std::unique_ptr<KvRows> f32_rows(const KvShape& shape, int sequences, int capacity);

}  // namespace attnlab

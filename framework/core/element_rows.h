// Cached rows whose keys and values are each held by a codec of their own, in pages. A tile is decoded when it is read;
// nothing is decoded as a whole. Not here: plain f32 without pages, which is read in place (f32_rows), and codes that
// wait until a group of rows is complete (kivi_rows).
#pragma once

#include <memory>

#include <attnlab/cache_policy.h>

#include "core/panel.h"

namespace attnlab {

struct RowFormat {
  Codec keys;
  Codec values;  // where the value is the front of the key, the key's codec holds both
  int page = 0;  // rows of a page; 0: one tile
};

/// `capacity`: rows that a (sequence, kv head) may reach; only address space is set aside for it. 0: not known.
[[nodiscard]] std::unique_ptr<KvRows> element_rows(const RowFormat& format, const KvShape& shape, int sequences,
                                                   int capacity);
/// Of one row of one kv head in a full page, its index included.
[[nodiscard]] double element_row_bytes(const RowFormat& format, const KvShape& shape);
[[nodiscard]] double element_list_bytes(const RowFormat& format, const KvShape& shape, int rows);

}  // namespace attnlab

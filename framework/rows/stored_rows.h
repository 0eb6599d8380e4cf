// Cached rows of one layer: positions and marks of each list (a sequence's kv head), and two sides that hold the
// numbers. Not here: how a side holds them (side_rows), which codecs there are (plugins/storage), and the check of the
// caller's arguments (checked_rows).
#pragma once

#include <memory>

#include <attnlab/cache_policy.h>

#include "rows/side_rows.h"

namespace attnlab {

/// The sides' formats follow from the shape.
struct RowSides {
  std::unique_ptr<SideRows> keys;
  std::unique_ptr<SideRows> values;  // null where the value is the front of the key
  bool are_fixed = false;            // rows that are held cannot be replaced
};

[[nodiscard]] SideFormat key_format(const KvShape& shape, int page, int sequences, int capacity);
[[nodiscard]] SideFormat value_format(const KvShape& shape, int page, int sequences, int capacity);
[[nodiscard]] std::unique_ptr<KvRows> stored_rows_of(RowSides sides, const KvShape& shape, int sequences, int capacity);

}  // namespace attnlab

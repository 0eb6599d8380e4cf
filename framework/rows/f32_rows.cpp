#include "rows/f32_rows.h"

#include <tuple>

#include "rows/stored_rows.h"

namespace attnlab {

std::unique_ptr<KvRows> f32_rows(const KvShape& shape, int sequences, int capacity) {
  RowSides sides;
  const SideFormat keys = key_format(shape, 0, sequences, capacity);
  if (shape.value_is_key_prefix)
    sides.keys = direct_side(keys, nullptr);
  else
    std::tie(sides.keys, sides.values) =
        direct_sides(keys, nullptr, value_format(shape, 0, sequences, capacity), nullptr);
  return stored_rows_of(std::move(sides), shape, sequences, capacity);
}

}  // namespace attnlab

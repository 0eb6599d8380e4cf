// KIVI (Liu et al. 2024): the newest rows in f32, older ones as codes of 2 or 4 bits, keys per channel over groups of
// tokens, values per token over groups of channels. Rows become codes only in `settle`, each of them once, so a prompt
// is answered with its rows as they are. The authors flush all `residual` key rows at once whenever that many have
// gathered; here a group goes as soon as it is complete and old enough, and the codes are the same.
#pragma once

#include <memory>

#include <attnlab/cache_policy.h>

namespace attnlab {

struct KiviFormat {
  int bits = 2;        // 2 or 4
  int group = 32;      // tokens of a key group, channels of a value group
  int residual = 128;  // newest rows that stay as they are
  bool operator==(const KiviFormat&) const = default;
};

/// Single rows cannot be dropped: their group is one piece. Where the value is the front of the key it is read out of
/// the key's codes. `page`: rows of a page, 0: one tile; a page of key codes holds whole groups, at least one.
/// `capacity` as in f32_rows.
[[nodiscard]] std::unique_ptr<KvRows> kivi_rows(const KiviFormat& format, int page, const KvShape& shape, int sequences,
                                                int capacity);
/// Of one row of one kv head once it is codes, its index included.
[[nodiscard]] double kivi_row_bytes(const KiviFormat& format, int page, const KvShape& shape);

}  // namespace attnlab

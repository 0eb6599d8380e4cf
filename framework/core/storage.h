// The storages by name: what an experiment writes, and the rows that come of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <attnlab/cache_policy.h>

#include "core/kivi_rows.h"

namespace attnlab {

struct StorageSpec {
  std::string keys = "f32";  // element types; or both `kivi`, which holds keys and values together
  std::string values = "f32";
  int page = 0;     // rows of a page; 0: not paged
  KiviFormat kivi;  // of kivi

  bool operator==(const StorageSpec&) const = default;
  [[nodiscard]] bool is_kivi() const { return keys == "kivi"; }
  /// As a name shows it: `f32`, `k:int8,v:int4,page:16`, `kivi:4,group:64`.
  [[nodiscard]] ATTNLAB_API std::string text() const;
};

/// f32, bf16, int8, int4: rows as they are; rounded; a scale for each vector; a scale and a minimum for every 32
/// components.
[[nodiscard]] ATTNLAB_API const std::vector<std::string>& element_names();

/// Whether rows come back as they were, and if not, from when on they are what their codes say: kivi answers a prompt
/// with its rows as they are.
enum class Rounding : std::uint8_t { none, when_appended, after_prompt };
[[nodiscard]] ATTNLAB_API Rounding rounding(const StorageSpec& storage);

/// Element types are among `element_names`. `capacity`: rows that a (sequence, kv head) may reach; only address space
/// is set aside for it. 0: not known.
[[nodiscard]] ATTNLAB_API std::unique_ptr<KvRows> make_rows(const StorageSpec& storage, const KvShape& shape,
                                                            int sequences, int capacity);
/// Of one row of one kv head in a full page: codes, scales and minima, and its index. Of kivi, a row that is codes.
/// What a step reads of it; what is allocated is `list_bytes`.
[[nodiscard]] ATTNLAB_API double row_bytes(const StorageSpec& storage, const KvShape& shape);
/// What so many rows of one kv head take: whole pages, and the positions of the rows.
[[nodiscard]] ATTNLAB_API double list_bytes(const StorageSpec& storage, const KvShape& shape, int rows);

}  // namespace attnlab

// The storage of an arm's layer: the object that holds keys, the one that holds values, and the page size. It creates
// rows and knows their bytes and their rounding. Not here: which storages there are (plugins/storage).
#pragma once

#include <cstdint>
#include <memory>

#include <attnlab/cache_policy.h>
#include <attnlab/features.h>
#include <attnlab/storage.h>

namespace attnlab {

/// Whether rows come back as they were, and if not, from when on they are what their codes say: a storage that settles
/// answers a prompt with its rows as they are.
enum class Rounding : std::uint8_t { none, when_appended, after_prompt };

/// A storage, and what it declares.
struct DeclaredStorage {
  std::shared_ptr<const Storage> storage;
  Traits traits;
};

class ATTNLAB_API RowStorage {
 public:
  /// page: rows of a page; 0: rows are not paged.
  RowStorage(DeclaredStorage keys, DeclaredStorage values, int page);

  [[nodiscard]] Rounding rounding() const noexcept;
  /// Of keys and values together.
  [[nodiscard]] const Traits& traits() const noexcept { return traits_; }
  [[nodiscard]] int page() const noexcept { return page_; }
  [[nodiscard]] const Storage& side(RowSide side) const noexcept {
    return side == RowSide::keys ? *keys_.storage : *values_.storage;
  }

  /// `capacity`: rows that a (sequence, kv head) may reach; only address space is set aside for it. 0: not known. Where
  /// the value is the front of the key, the storage of keys holds both.
  [[nodiscard]] std::unique_ptr<KvRows> make_rows(const KvShape& shape, int sequences, int capacity) const;
  /// Of one row of one kv head in a full page: codes, scales and minima, marks, and its index. Of a storage that
  /// settles, a row that is codes. What a step reads of it; what is allocated is `list_bytes`.
  [[nodiscard]] double row_bytes(const KvShape& shape) const;
  /// How far a number that is held may be from what was appended, relative to the largest number of its side (keys or
  /// values) of the kv head, as the codecs declare it. 0: nothing changes.
  [[nodiscard]] double row_step(const KvShape& shape) const;
  /// What so many rows of one kv head take: whole pages, and the positions and marks of the rows.
  [[nodiscard]] double list_bytes(const KvShape& shape, int rows) const;

 private:
  DeclaredStorage keys_;
  DeclaredStorage values_;
  Traits traits_;
  int page_;
};

}  // namespace attnlab

// A cache policy decides which rows live; the rows themselves are held by `KvRows`, which the host makes for it
// (which element type, which layout), so that every policy runs on every storage.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <attnlab/budget.h>
#include <attnlab/chunk.h>
#include <attnlab/core.h>
#include <attnlab/module.h>
#include <attnlab/state.h>

namespace attnlab {

/// Rows as a variant appends them, one a token and kv head; last axes dense.
struct NewRows {
  TensorView<const float, 3> keys;    // [tokens, kv_heads, key_dim]
  TensorView<const float, 3> values;  // [tokens, kv_heads, value_dim]
  std::span<const float> marks = {};  // [tokens, kv_heads, KvShape::marks]

  /// Of `count` tokens from `first`.
  [[nodiscard]] NewRows slice(std::int64_t first, std::int64_t count) const noexcept {
    const std::size_t of_token = marks.empty() ? 0 : marks.size() / static_cast<std::size_t>(keys.extent(0));
    return {keys.slice(first, count), values.slice(first, count),
            marks.subspan(static_cast<std::size_t>(first) * of_token, static_cast<std::size_t>(count) * of_token)};
  }
};

/// Rows of one layer, for all sequences and kv heads. Lengths are per (sequence, kv head). What the host makes looks at
/// its arguments, in every build: what breaks a rule is an Error that names the policy, the rule and the values; a
/// function that must not throw notes it, and the call of the policy that is running throws it.
class ATTNLAB_API KvRows {
 public:
  virtual ~KvRows();
  /// keys [n, kv_heads, key_dim], values [n, kv_heads, value_dim], last axes dense; one row a kv head for each
  /// position, none of which is below 0. marks [n, kv_heads, KvShape::marks], dense: go where the row goes.
  virtual void append(int sequence, std::span<const Position> positions, TensorView<const float, 3> keys,
                      TensorView<const float, 3> values, std::span<const float> marks) = 0;
  /// The same of rows without marks.
  void append(int sequence, std::span<const Position> positions, TensorView<const float, 3> keys,
              TensorView<const float, 3> values) {
    append(sequence, positions, keys, values, {});
  }
  void append(int sequence, std::span<const Position> positions, const NewRows& rows) {
    append(sequence, positions, rows.keys, rows.values, rows.marks);
  }
  [[nodiscard]] virtual int rows(int sequence, int kv_head) const noexcept = 0;
  /// [rows], in row order.
  [[nodiscard]] virtual std::span<const Position> positions(int sequence, int kv_head) const noexcept = 0;
  /// Forgets rows (indices of rows that are there, ascending, no repeats; an Error else). Holes are filled from the
  /// end: row order is as `drop_entries` leaves a vector. Memory of tiles that become empty is given back.
  virtual void drop(int sequence, int kv_head, std::span<const int> rows) = 0;
  /// Puts another key [key_dim] and value [value_dim] in the place of a row's; its position and marks stay. Where the
  /// value is the front of the key, `value` is empty. An Error where the storage has `fixed_rows`.
  virtual void replace(int sequence, int kv_head, int row, std::span<const float> key,
                       std::span<const float> value) = 0;
  /// Takes back the rows at position `length` and later, in every kv head, as if they had never been appended: what a
  /// speculative step guessed wrong. They are the last in row order; an Error where rows were dropped since they came,
  /// or where older rows have become codes because of them (settle after a step is accepted).
  virtual void truncate(int sequence, Position length) = 0;
  /// Makes the empty sequence `to` go on from the rows of `from`. Pages are shared until one of the two changes one,
  /// and count once; positions and marks are each sequence's own.
  virtual void fork(int from, int to) = 0;
  /// Rows first .. first + n as floats, whatever the storage: keys [n, key_dim], values [n, value_dim], dense rows; a
  /// view without data is left out. From any thread.
  virtual void read(int sequence, int kv_head, int first, TensorView<float, 2> keys,
                    TensorView<float, 2> values) const = 0;
  /// Back to an empty sequence. The memory of its rows is kept for those that come next, and still counts.
  virtual void clear(int sequence) = 0;
  /// After the policy's check, after the prompt and after each step: storages that hold the newest rows as they are
  /// turn older ones into their codes here.
  virtual void settle(int sequence) = 0;
  [[nodiscard]] virtual int tiles(int sequence, int kv_head) const noexcept = 0;
  virtual KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept = 0;
  /// Really allocated, indices included.
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
  /// The rows of a sequence as they are held, and back into rows of the same kind and shape, whatever they hold.
  virtual void save(int sequence, StateWriter& to) const = 0;
  virtual void restore(int sequence, StateReader& from) = 0;
};

/// What `KvRows::drop` does to the order, for a policy's own per-row data. The same rules, and an Error else.
template <class T>
void drop_entries(std::vector<T>& entries, std::span<const int> rows) {
  for (std::size_t i = rows.size(); i-- > 0;) {
    const bool ascends = i + 1 == rows.size() || rows[i] < rows[i + 1];
    ATTNLAB_CHECK(ascends && rows[i] >= 0 && static_cast<std::size_t>(rows[i]) < entries.size(),
                  "drop_entries: indices must ascend, without repeats, among the entries that are there");
    entries[rows[i]] = entries.back();
    entries.pop_back();
  }
  // After a prompt the room of thousands of entries would stay for a few; one more comes with the next step.
  if (rows.empty() || entries.capacity() == entries.size() + 1) return;
  std::vector<T> exact;
  exact.reserve(entries.size() + 1);
  exact.assign(entries.begin(), entries.end());
  entries.swap(exact);
}

/// Room for `needed` entries, in steps that do not allocate every time, but for `most` and no more where that is
/// enough: what a policy keeps for a row counts like the row.
template <class T>
void reserve_entries(std::vector<T>& entries, std::size_t needed, std::size_t most) {
  if (needed <= entries.capacity()) return;
  entries.reserve(needed >= most ? needed : std::min(most, std::max(needed, 2 * entries.capacity())));
}

/// What a policy is told when it makes the cache of one layer.
struct ATTNLAB_API LayerCacheContext {
  int layer = 0;
  int layers = 1;
  int caches = 0;  // that share a budget in bytes, where some layers read the rows of others; 0: one a layer
  int sequences = 1;
  std::vector<int> capacities = {};  // [sequences]: tokens that each may reach; empty: not known
  int heads = 0;
  KvShape shape;
  KeyForm key_form = KeyForm::rotated;
  const Rotation* rotation = nullptr;  // of the layer's scheme; for policies that look ahead
  double row_bytes = 0;                // one row of one kv head in the chosen storage, scales and index included
  std::function<double(int rows)> list_bytes = {};  // that a kv head's rows take there, whole pages
  std::uint64_t seed = 1;
  /// Makes rows of the storage that the experiment chose.
  std::function<std::unique_ptr<KvRows>()> make_rows;

  [[nodiscard]] int capacity(int sequence) const noexcept {
    return capacities.empty() ? 0 : capacities[static_cast<std::size_t>(sequence)];
  }
  /// What budgets in bytes are held against, with room for one row more: each step adds one before the policy drops
  /// one. `own`: bytes of the policy itself for a row.
  [[nodiscard]] SequenceBytes sequence_bytes(double own = 0) const;
};

/// The cache of one layer, all sequences. Not for more than one thread, except the reading side (KvSource).
class ATTNLAB_API LayerCache : public KvSource {
 public:
  ~LayerCache() override;
  /// Rows of all tokens of the chunk, keys rotated or not as key_form() says.
  virtual void append(const ChunkView& chunk, const NewRows& rows) = 0;
  /// After the chunk was answered: eviction happens here and only here.
  virtual void end_chunk(const ChunkView& chunk);
  /// Back to an empty sequence.
  virtual void clear(int sequence) = 0;
  /// Rows that live.
  [[nodiscard]] virtual int rows(int sequence, int kv_head) const noexcept = 0;
  /// Rows of a kv head that are left at most, in the mean over the layer's kv heads, where the policy has checked a
  /// sequence of `length` tokens: at the end of the prompt, and of each step unless it acts at the end of the prompt
  /// alone. `length` where nothing bounds them, which is the default.
  [[nodiscard]] virtual int row_limit(int sequence, int length) const noexcept;
  /// Really allocated, indices and scores included.
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
  /// All that a sequence goes on from: rows, scores, random numbers; and back into a cache that was made alike. What
  /// follows is the same to the bit. An Error where the cache does not say how (the default), or where the state is of
  /// another kind of cache.
  virtual void save(int sequence, StateWriter& to) const;
  virtual void restore(int sequence, StateReader& from);
};

class ATTNLAB_API CachePolicy : public Module {
 public:
  virtual std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const = 0;
};

}  // namespace attnlab

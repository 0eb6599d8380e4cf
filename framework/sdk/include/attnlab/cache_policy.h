// A cache policy decides which rows stay in the cache. The rows themselves are held by `KvRows`, which the host creates
// for the policy with the element type and layout of the chosen storage, so a policy is written once for all storages.
// What a storage cannot do (lose single rows of a group, replace a row that is coded) it declares as features, and the
// policies that do it are refused there.
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

/// Rows of one layer, for all sequences and kv heads. Lengths are per (sequence, kv head). The host's implementation
/// checks its arguments in every build: a broken rule is an Error that names the policy, the rule and the values. A
/// function that must not throw records the error, and the next function of the policy that may throw reports it.
class ATTNLAB_API KvRows {
 public:
  virtual ~KvRows();
  /// keys [n, kv_heads, key_dim], values [n, kv_heads, value_dim], last axes dense; one row a kv head for each
  /// position, none of which is below 0. marks [n, kv_heads, KvShape::marks], dense; they stay with their row.
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
  /// Removes rows. `rows` are indices of existing rows, ascending, without repeats; anything else is an Error. Holes
  /// are filled from the end: row order is as `drop_entries` leaves a vector. Memory of tiles that become empty is
  /// freed.
  virtual void drop(int sequence, int kv_head, std::span<const int> rows) = 0;
  /// Replaces the key [key_dim] and value [value_dim] of a row; its position and marks stay. Where the
  /// value is the front of the key, `value` is empty. An Error where the storage has `fixed_rows`.
  virtual void replace(int sequence, int kv_head, int row, std::span<const float> key,
                       std::span<const float> value) = 0;
  /// Removes the rows at position `length` and later, in every kv head, as if they had never been appended: rows of
  /// rejected tokens of a speculative step. An Error, with nothing changed, where rows were dropped or replaced after
  /// these were appended, or where older rows were turned into codes because of them (settle only after a step is
  /// accepted).
  virtual void truncate(int sequence, Position length) = 0;
  /// Makes the empty sequence `to` continue from the rows of `from`. Pages are shared until one of the two sequences
  /// changes them, and are counted once; each sequence has its own positions and marks.
  virtual void fork(int from, int to) = 0;
  /// Rows first .. first + n as floats, whatever the storage: keys [n, key_dim], values [n, value_dim], dense rows; a
  /// view without data is left out. From any thread.
  virtual void read(int sequence, int kv_head, int first, TensorView<float, 2> keys,
                    TensorView<float, 2> values) const = 0;
  /// Back to an empty sequence. The memory of its rows is kept for rows that are appended later, and is still counted.
  virtual void clear(int sequence) = 0;
  /// Called after the policy's check, after the prompt and after each step. Storages that keep the newest rows exact
  /// turn older ones into codes here.
  virtual void settle(int sequence) = 0;
  [[nodiscard]] virtual int tiles(int sequence, int kv_head) const noexcept = 0;
  virtual KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept = 0;
  /// Allocated bytes, indices included.
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
  /// Save the rows of a sequence as they are held, and restore them into rows of the same kind and shape, replacing
  /// what those held.
  virtual void save(int sequence, StateWriter& to) const = 0;
  virtual void restore(int sequence, StateReader& from) = 0;
};

/// Removes entries from a policy's own per-row data and reorders it as `KvRows::drop` reorders rows. The same rules
/// hold for the indices; anything else is an Error.
template <class T>
void drop_entries(std::vector<T>& entries, std::span<const int> rows) {
  for (std::size_t i = rows.size(); i-- > 0;) {
    const bool ascends = i + 1 == rows.size() || rows[i] < rows[i + 1];
    ATTNLAB_CHECK(ascends && rows[i] >= 0 && static_cast<std::size_t>(rows[i]) < entries.size(),
                  "drop_entries: indices must ascend, without repeats, among the entries that are there");
    entries[rows[i]] = entries.back();
    entries.pop_back();
  }
  // After a prompt the memory of thousands of entries would be kept for a few. The next step adds one more.
  if (rows.empty() || entries.capacity() == entries.size() + 1) return;
  std::vector<T> exact;
  exact.reserve(entries.size() + 1);
  exact.assign(entries.begin(), entries.end());
  entries.swap(exact);
}

/// Reserves room for `needed` entries, with some to spare so that not every step allocates, but for no more than `most`
/// entries where that is enough: the bytes that a policy keeps for a row are counted like those of the row.
template <class T>
void reserve_entries(std::vector<T>& entries, std::size_t needed, std::size_t most) {
  if (needed <= entries.capacity()) return;
  entries.reserve(needed >= most ? needed : std::min(most, std::max(needed, 2 * entries.capacity())));
}

/// What a policy is told when it makes the cache of one layer.
struct ATTNLAB_API LayerCacheContext {
  int layer = 0;
  int layers = 1;
  int caches = 0;  // layers that keep rows of their own, which share a budget; 0: all of them
  int cache = 0;   // the place of this layer among them, in the order of the layers
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

  /// How many caches share a budget, and which of them this is, from 0.
  [[nodiscard]] int cache_count() const noexcept { return caches > 0 ? caches : layers; }
  [[nodiscard]] int cache_place() const noexcept { return caches > 0 ? cache : layer; }
  [[nodiscard]] int capacity(int sequence) const noexcept {
    return capacities.empty() ? 0 : capacities[static_cast<std::size_t>(sequence)];
  }
  /// The bytes that a budget in bytes is compared with, including one more row, since each step appends a row before
  /// the policy drops one. `own`: bytes of the policy itself for a row.
  [[nodiscard]] SequenceBytes sequence_bytes(double own = 0) const;
};

/// The cache of one layer, all sequences. Used by one thread at a time, except for the functions of KvSource.
class ATTNLAB_API LayerCache : public KvSource {
 public:
  ~LayerCache() override;
  /// Rows of all tokens of the chunk, keys rotated or not as key_form() says.
  virtual void append(const ChunkView& chunk, const NewRows& rows) = 0;
  /// Called after all queries of the chunk have attended. Eviction happens here and nowhere else.
  virtual void end_chunk(const ChunkView& chunk);
  /// Back to an empty sequence.
  virtual void clear(int sequence) = 0;
  /// Rows that are held.
  [[nodiscard]] virtual int rows(int sequence, int kv_head) const noexcept = 0;
  /// The largest number of rows of a kv head, averaged over the layer's kv heads, after the policy has acted on a
  /// sequence of `length` tokens: at the end of the prompt, and of each step unless the policy acts at the end of the
  /// prompt only. `length`, the default, where there is no bound.
  [[nodiscard]] virtual int row_limit(int sequence, int length) const noexcept;
  /// Allocated bytes, indices and scores included.
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;
  /// Save and restore the whole state of a sequence: rows, scores, random number generators. A state can be restored
  /// into any cache that was created in the same way, and later results are the same to the bit. An Error where the
  /// cache does not implement it (the default), or where the state comes from another kind of cache.
  virtual void save(int sequence, StateWriter& to) const;
  virtual void restore(int sequence, StateReader& from);
  /// Takes back the tokens at position `length` and later, of which there is one at least, as if they had never been
  /// fed: a speculative step was rejected. Later results are then the same to the bit. An Error, with nothing changed,
  /// where the state cannot go back: rows were dropped since, or something counted the tokens. The default refuses.
  virtual void truncate(int sequence, Position length);
  /// Makes the empty sequence `to` go on from what `from` holds. Rows are stored once, and counted once, until one of
  /// the two sequences changes them. The default refuses.
  virtual void fork(int from, int to);
};

class ATTNLAB_API CachePolicy : public Module {
 public:
  virtual std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const = 0;
};

}  // namespace attnlab

// Policies that hold rows and drop some of them: the rule says which, everything else is the same for all of them. A
// rule is asked at the end of every chunk and drops through the rows it is given; per-row data of its own follows the
// rows' order with `drop_entries`.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/cache_policy.h>
#include <attnlab/options.h>

namespace attnlab {

class ATTNLAB_API EvictionRule {
 public:
  virtual ~EvictionRule();
  /// What the policy lets queries of a sequence see, beside the variant's own mask; null: every row that is there.
  virtual const MaskRule* visibility(int /*sequence*/) const noexcept { return nullptr; }
  /// Rows of a kv head that the rule leaves at most; see LayerCache::row_limit. The default: `length`, no bound.
  virtual int row_limit(int /*sequence*/, int length) const noexcept { return length; }
  virtual MassSink* mass_sink() noexcept { return nullptr; }
  virtual QuerySink* query_sink() noexcept { return nullptr; }
  /// After the chunk's rows were appended, before they are read. keys as they are stored.
  virtual void appended(const ChunkView& chunk, TensorView<const float, 3> keys, TensorView<const float, 3> values);
  /// At the end of every chunk in which the sequence has tokens. Most rules act only where the chunk ends a prompt or
  /// a step (ChunkView::ends_prompt_or_step).
  virtual void check(const ChunkView& chunk, int sequence, KvRows& rows) = 0;
  /// Back to an empty sequence.
  virtual void clear(int sequence);
  /// What the rule holds itself: scores, statistics.
  [[nodiscard]] virtual std::size_t bytes() const noexcept { return 0; }
  /// What it holds of a sequence. Nothing by default, which is right for rules without data of their own: a rule whose
  /// bytes() have grown and that writes nothing is an Error.
  virtual void save(int sequence, StateWriter& to) const;
  virtual void restore(int sequence, StateReader& from);
};

/// A cache whose rows live until the rule drops them. Null rule: for ever.
[[nodiscard]] ATTNLAB_API std::unique_ptr<LayerCache> rows_cache(const LayerCacheContext& context,
                                                                 std::unique_ptr<EvictionRule> rule);

/// Rows that no score can evict: of the first tokens of a sequence, and the newest that are cached.
struct Protect {
  std::int32_t first = 0;
  std::int32_t recent = 0;
};

/// Which rows of one kv head go so that `keep` stay: the protected ones, and of the others those with the highest
/// scores (equal: the higher position). scores and positions [rows]; ascending indices, none if `keep` rows or fewer
/// are there. An Error that names the policy where a score is NaN, which has no place in an order.
[[nodiscard]] ATTNLAB_API std::vector<int> rows_to_drop(std::span<const double> scores,
                                                        std::span<const Position> positions, int keep,
                                                        Protect protect = {});

/// Mass per row of every (sequence, kv head), in row order, and who counts. A rule holds one and says from which query
/// on; it forgets or keeps the sums as it likes.
class ATTNLAB_API RowMass final : public MassSink {
 public:
  RowMass(int sequences, int kv_heads);
  ~RowMass() override;
  Position first_query(int sequence) const noexcept override { return first_query_[sequence]; }
  void add(int sequence, int kv_head, std::span<const float> mass) noexcept override;

  void count_from(int sequence, Position first) noexcept { first_query_[sequence] = first; }
  /// Room for rows that were appended, with mass 0.
  void grow(int sequence, int kv_head, int rows) { at(sequence, kv_head).resize(rows); }
  /// The same for all rows of the chunk, in every kv head. `most`: rows up to which a kv head comes between two checks
  /// of a step; see reserve_entries.
  void grow(const ChunkView& chunk, int sequence, int most);
  [[nodiscard]] std::vector<double>& at(int sequence, int kv_head) noexcept { return mass_[index(sequence, kv_head)]; }
  void clear(int sequence);
  void save(int sequence, StateWriter& to) const;
  void restore(int sequence, StateReader& from);
  [[nodiscard]] std::size_t bytes() const noexcept;

 private:
  std::size_t index(int sequence, int kv_head) const noexcept {
    return static_cast<std::size_t>(sequence) * kv_heads_ + kv_head;
  }
  int kv_heads_;
  std::vector<Position> first_query_;      // [sequences]
  std::vector<std::vector<double>> mass_;  // [sequences x kv_heads][rows]
};

}  // namespace attnlab

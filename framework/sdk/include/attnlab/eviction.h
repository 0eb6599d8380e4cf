// Policies that hold rows and drop some of them. A rule decides which rows are dropped; everything else is the same for
// all such policies. The rule is called at the end of every chunk and drops rows through the `KvRows` it is given. It
// keeps its own per-row data in row order with `drop_entries`.
#pragma once

#include <cstdint>
#include <limits>
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
  /// Save and restore the rule's data of a sequence. The default saves nothing, which is right for rules without data
  /// of their own. It is an Error if a rule writes nothing although its bytes() have grown. A sequence can be truncated
  /// only while its rule has nothing to save; a fork restores what the rule saved of the other sequence.
  virtual void save(int sequence, StateWriter& to) const;
  virtual void restore(int sequence, StateReader& from);
};

/// A cache whose rows stay until the rule drops them. With a null rule no row is dropped.
[[nodiscard]] ATTNLAB_API std::unique_ptr<LayerCache> rows_cache(const LayerCacheContext& context,
                                                                 std::unique_ptr<EvictionRule> rule);

/// Rows that no score can evict: of the first tokens of a sequence, and the newest that are cached.
struct Protect {
  std::int32_t first = 0;
  std::int32_t recent = 0;
};

/// The rows of one kv head to drop so that `keep` rows stay: the protected ones, and of the others those with the
/// highest scores (equal scores: the higher position). scores and positions [rows]. Returns ascending indices, none if
/// there are `keep` rows or fewer. An Error that names the policy where a score is NaN, which cannot be ordered.
[[nodiscard]] ATTNLAB_API std::vector<int> rows_to_drop(std::span<const double> scores,
                                                        std::span<const Position> positions, int keep,
                                                        Protect protect = {});

/// The first query of a sequence that counts where none does.
inline constexpr Position kNoQuery = std::numeric_limits<Position>::max();

/// Mass per row of every (sequence, kv head), in row order, and the first query that counts. A rule holds one and sets
/// that query; when sums are kept and when they are cleared is the rule's choice.
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

// What may happen to attention scores between the product with the keys and the product with the values: changes of
// scores, masks, and weightings other than the softmax. Called once per tile or once per query, never per score.
#pragma once

#include <cstdint>
#include <span>

#include <attnlab/api.h>
#include <attnlab/chunk.h>
#include <attnlab/gradients.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

/// Rows of a full tile. 64: keys and values of one tile (head_dim 128) stay in L2 beside a block of queries.
inline constexpr int kTileRows = 64;

/// Scores of one tile: hooks edit them in place. Its heads share a kv head, and are all of its group or some of them.
struct ScoreTile {
  TensorView<float, 3> scores;                // [group, queries, rows], scaled; rows are dense
  std::span<const Position> query_positions;  // [queries]
  std::span<const Position> key_positions;    // [rows]
  int first_head = 0;                         // scores(0, ...) belongs to this query head
  int sequence = 0;                           // of the chunk
  int first_token = 0;                        // scores(_, 0, _) belongs to this token of the chunk
  TensorView<const float, 2> key_marks = {};  // [rows, KvShape::marks], as they were appended
  TensorView<const float, 3> queries = {};    // [queries, group, key_dim] as they meet the keys: rotated, scaled
};

/// What is known of a derivative. none: an arm that needs it is not trained. additive: what is added depends on
/// positions alone, so there is nothing to write. own: the class writes it.
enum class Derivative : std::uint8_t { none, additive, own };

/// Gradients of one tile, for a hook that undoes its change of scores.
struct ScoreGradients {
  TensorView<float, 3> scores;  // [group, queries, rows] of the scores after the change; becomes that of those before
  TensorView<float, 2> key_marks;  // [rows, KvShape::marks], added to
  TensorView<float, 3> queries;    // [queries, group, key_dim] of ScoreTile::queries, added to
  Gradients& others;               // of parameters, for this task alone; of buffers, at the tile's own tokens and heads
};

/// A change of scores: softcap, bias, anything per element, in a plain loop. A score may be -infinity (under a RowBias,
/// where the row is not seen): whatever becomes of it is masked again, and its gradient is 0.
class ATTNLAB_API ScoreHook {
 public:
  virtual ~ScoreHook();
  virtual void apply(ScoreTile& tile) const noexcept = 0;
  virtual Derivative derivative() const noexcept { return Derivative::none; }
  /// Error where there is no derivative.
  virtual void require_derivative() const;
  /// before: the tile as `apply` got it. Called where the derivative is `own`; from any thread, for a sequence and kv
  /// head by one at a time.
  virtual void backward(const ScoreTile& before, const ScoreGradients& gradients) const;
};

/// A block of queries and a tile of keys, or a part of it, for which a mask is asked.
struct MaskPlace {
  PositionRange queries;  // of tokens first_token .. first_token + tokens of the chunk
  PositionRange keys;
  int sequence = 0;  // of the chunk
  int first_token = 0;
  int tokens = 1;
  int kv_head = 0;
  int first_head = 0;  // of the `heads` query heads that share the kv head
  int heads = 1;
};

/// What a query may see: by position, and optionally by head and token. `cover` answers for a block of queries
/// and a tile of keys, or a part of one, at once; `mask` may get the first rows of a tile alone.
class ATTNLAB_API MaskRule {
 public:
  enum class Cover : std::uint8_t { none, partial, full };
  virtual ~MaskRule();
  /// none: no query of the block sees a key of the tile, which is skipped; full: nothing is masked.
  virtual Cover cover(const MaskPlace& place) const noexcept = 0;
  /// Sets what is not seen to -infinity. Called only where cover is partial.
  virtual void mask(ScoreTile& tile) const noexcept = 0;
};

/// Key j is seen by query i where i - window < j <= i. window 0: no lower bound.
class ATTNLAB_API CausalMask final : public MaskRule {
 public:
  explicit CausalMask(Position window = 0) : window_(window) {}
  ~CausalMask() override;
  [[nodiscard]] Position window() const noexcept { return window_; }
  Cover cover(const MaskPlace& place) const noexcept override;
  void mask(ScoreTile& tile) const noexcept override;

 private:
  Position window_;
};

/// In place of the softmax: the weight of a score is a function of this score alone (sigmoid attention).
class ATTNLAB_API Weighting {
 public:
  virtual ~Weighting();
  /// Turns scores, after hooks and masks, into weights in place. A score of -infinity is not seen and must become 0.
  /// seen [queries]: how many rows each query sees in this call of `attend`, in all tiles. From any thread.
  virtual void weigh(ScoreTile& tile, std::span<const int> seen) const noexcept = 0;
  virtual Derivative derivative() const noexcept { return Derivative::none; }
  /// before: scores as `weigh` got them; gradients [group, queries, rows]: of the weights, becomes that of the scores.
  /// Called where the derivative is `own`.
  virtual void backward(const ScoreTile& before, std::span<const int> seen, TensorView<float, 3> gradients) const;
};

/// All the scores of one query at once.
struct QueryScores {
  TensorView<float, 3> scores;              // [kv_heads, group, rows]; rows are dense
  std::span<const Position> key_positions;  // [rows], in any order
  Position query_position = 0;
  int first_head = 0;                       // scores(0, 0, _) belongs to this query head
  int sequence = 0;                         // of the chunk
  int token = 0;                            // of the chunk
  TensorView<const float, 3> queries = {};  // [kv_heads, group, key_dim], before rotation and scaling
};

/// A position bias that follows from all scores of a query (contextual positions). Added before the hooks, where a bias
/// of single scores stands. Costs what a RowWeighting costs: a block of queries holds the scores of all rows.
class ATTNLAB_API RowBias {
 public:
  virtual ~RowBias();
  /// The width of the queries that it is for: another key_dim is refused.
  virtual int width() const noexcept = 0;
  /// Adds to the scores in place. A score of -infinity is not seen: it must stay so, and nothing may depend on its row.
  /// From any thread.
  virtual void add(QueryScores& query) const noexcept = 0;
  /// Multiply-adds of `add` for one query of one head. 0 by default.
  virtual double multiply_adds() const noexcept;
  /// `own`, or it is not trained.
  virtual Derivative derivative() const noexcept { return Derivative::none; }
  /// Error where there is no derivative.
  virtual void require_derivative() const;
  /// before: scores as `add` got them. gradients [kv_heads, group, rows]: of the scores after, becomes that of those
  /// before; 0 where a score is -infinity. of_queries [kv_heads, group, key_dim]: of QueryScores::queries, added to.
  /// Called where the derivative is `own`; from any thread. `others`: of parameters, for this task alone.
  virtual void backward(const QueryScores& before, TensorView<float, 3> gradients, TensorView<float, 3> of_queries,
                        Gradients& others) const;
};

/// In place of the softmax: weights are a function of a query's whole row of scores (entmax, stick-breaking), or of the
/// rows of all heads together (talking heads). Costs more than a softmax, since a block of queries holds the scores of
/// all rows.
class ATTNLAB_API RowWeighting {
 public:
  virtual ~RowWeighting();
  /// false: a call gets the query heads of one kv head. true: it gets those of all kv heads, whose rows must be at the
  /// same positions in the same order (a cache whose kv heads keep different rows is refused).
  virtual bool takes_all_heads() const noexcept;
  /// Before position bias, hooks and masks; rows that no query of the block sees are 0. Nothing by default. From any
  /// thread.
  virtual void mix(QueryScores& query) const noexcept;
  /// Called after bias, hooks and masks: turns scores into weights in place. A score of -infinity is not seen and must
  /// become 0. From any thread.
  virtual void weigh(QueryScores& query) const noexcept = 0;
  /// Multiply-adds of `mix` and `weigh` for one score, where a call gets the scores of so many query heads: what a
  /// mixture of heads costs is counted by it, and a check does not recompute more of it than it has time for. 0 by
  /// default: no more than a softmax.
  virtual double multiply_adds(int heads) const noexcept;
  virtual Derivative derivative() const noexcept { return Derivative::none; }
  /// The derivatives of `mix`, where it changes scores, and of `weigh`. before: scores as they got them; gradients
  /// [kv_heads, group, rows]: of what they made, becomes that of what they got. Called where the derivative is `own`;
  /// from any thread. `others`: of parameters, for this task alone.
  virtual void mix_backward(const QueryScores& before, TensorView<float, 3> gradients, Gradients& others) const;
  virtual void weigh_backward(const QueryScores& before, TensorView<float, 3> gradients, Gradients& others) const;
};

}  // namespace attnlab

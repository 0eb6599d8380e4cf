// One block of queries against tiles of keys: packing, scores, the online softmax. What a task of `attend` does,
// without knowing which tasks there are.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include <attnlab/scratch.h>

#include "core/attend.h"
#include "tiles/tile_kernels.h"
#include "tiles/tile_rotation.h"

namespace attnlab {

inline constexpr int kBlockRows = 96;  // rows (queries x group) of a block: scores and output stay in L1 and L2

/// Widths are rounded up to whole vectors.
[[nodiscard]] constexpr int padded(int width) {
  return (width + 15) / 16 * 16;
}

/// Queries first .. first + count of one sequence's tokens in the chunk, for one kv head.
struct QueryRange {
  int sequence;
  int kv_head;
  int first;
  int count;
};

/// Result of a block or of a part of it. Rows are query-major: row = query * group + member.
struct BlockResult {
  float* out;  // [rows, stride]
  int stride;
  float* maximum;  // [rows]
  float* sum;      // [rows]
};

/// [queries, group, tiles]: what each query head of a block reads. Without data: everything.
using TileReads = TensorView<const std::uint8_t, 3>;

/// Where the scores of a tile stand: rows first_row .. first_row + rows of the block; rows 0: nothing is seen.
struct TileScores {
  int first_row = 0;
  int rows = 0;
  int columns = 0;          // the first of the tile's rows: all, or a multiple of 16; no query sees the others
  float* scores = nullptr;  // [rows, kTileRows], of the first of these rows
};

class QueryBlock {
 public:
  /// Memory comes from `scratch` and is valid as long as its scope. `rotation`: of keys that are rotated when they are
  /// read, where many blocks of the sequence share one.
  QueryBlock(const AttendArgs& args, const QueryRange& range, Scratch& scratch, TileReads reads = {},
             const TileRotation* rotation = nullptr);

  [[nodiscard]] int rows() const noexcept { return rows_; }
  [[nodiscard]] std::span<const Position> positions() const noexcept { return positions_; }
  [[nodiscard]] BlockResult result() const;
  [[nodiscard]] KvTile tile(int index);

  /// Queries as the keys are stored, scaled. [queries, group, key_dim]
  [[nodiscard]] TensorView<const float, 3> packed() const noexcept {
    return {packed_, {range_.count, group_, shape_.key_dim}};
  }
  /// Whether one of the query heads reads this tile.
  [[nodiscard]] bool is_read(int tile) const noexcept;

  /// Sees the scores before each hook, in the hooks' order.
  using BeforeHook = std::function<void(std::size_t hook, const ScoreTile& before)>;
  /// Scores of tile `index` after hooks, masks and selection.
  TileScores score(int index, const KvTile& tile, const BeforeHook* before = nullptr);
  /// The online softmax over these scores, or the weighting, by which they become weights, and their product with the
  /// tile's values.
  void add(const KvTile& tile, const TileScores& scored);

  /// As hooks see scores of all queries of the block, [group, queries, rows].
  [[nodiscard]] ScoreTile tile_of(const KvTile& tile, TensorView<float, 3> scores) const {
    return view(tile, 0, scores);
  }
  /// As hooks see these scores; [group, queries, rows].
  [[nodiscard]] ScoreTile tile_of(const KvTile& tile, const TileScores& scored) const {
    return view(tile, scored.first_row / group_, by_member(scored));
  }
  /// How many rows each query of these sees, for a weighting.
  [[nodiscard]] std::span<const int> seen(const TileScores& scored) const {
    return seen_.subspan(scored.first_row / group_, scored.rows / group_);
  }

  // The parts of these, for what needs the scores of all tiles before there are weights (attend_rows.h).
  /// Of all queries: the product alone, before hooks and masks.
  TileScores products(const KvTile& tile) { return product(tile, 0, range_.count, tile.rows()); }
  /// Whether the variant's mask hides the whole tile from all queries.
  [[nodiscard]] bool is_hidden(const KvTile& tile) const;
  /// Hooks and masks on scores of all queries, [group, queries, rows].
  void edit(const KvTile& tile, TensorView<float, 3> scores, const BeforeHook* before = nullptr) const;
  /// Masks alone.
  void hide(const KvTile& tile, TensorView<float, 3> scores) const;
  /// Adds weights [rows, tile's rows], rows `stride` apart, times the tile's values to the result.
  void add_values(const KvTile& tile, const TileScores& weights, std::int64_t stride_of_weights);

 private:
  // Rows of query `first` and `queries` of them, of which scores are in scores_.
  TileScores product(const KvTile& tile, int first, int queries, int columns);
  void product_bf16(const TileProduct& product, int first_row, bool is_capped);
  void add_values_bf16(const KvTile& tile, const TileScores& weights, std::int64_t stride_of_weights);
  // How many of the tile's rows these queries may see: those behind are hidden from all of them.
  [[nodiscard]] int seen_columns(const KvTile& tile, int first, int queries) const;
  void leave_out(int tile, const TileScores& scored) const;
  // Valid until the next call.
  [[nodiscard]] const MaskPlace& place(const KvTile& tile, int first, int queries) const;
  [[nodiscard]] ScoreTile view(const KvTile& tile, int first, TensorView<float, 3> scores) const;
  [[nodiscard]] TensorView<float, 3> by_member(const TileScores& scored) const;
  void count_seen();
  void pack(std::span<const Position> positions, float* to) const;
  const float* channel_major(const KvTile& tile);
  [[nodiscard]] bool rotates_keys() const noexcept {
    return args_.rotation != nullptr && args_.source.key_form() == KeyForm::unrotated;
  }
  // Made when it is asked for, where none was given.
  [[nodiscard]] const TileRotation& rotation();
  // Rows of a tile in any layout, as [kTileRows, key_dim].
  void read_rows(const KvTile& tile, float* to) const;

  const AttendArgs& args_;
  QueryRange range_;
  Scratch& scratch_;
  KvShape shape_;
  int group_;
  int rows_;
  int value_stride_;
  TileReads reads_;
  const MaskRule* visibility_;  // asked for once, not for every tile
  int first_token_;             // of the chunk
  mutable MaskPlace place_;     // what all masks of the block are asked about, but for queries and keys
  std::span<const Position> positions_;
  float* packed_;            // [rows, key_dim] queries, rotated and scaled
  float* capped_ = nullptr;  // [rows, key_dim] the same, numbered for tiles with a query cap
  Position packed_cap_ = kNoCap;
  std::span<Position> capped_positions_;
  std::span<int> seen_;  // [queries] rows that each sees, for a weighting
  float* scores_;        // [rows, kTileRows]
  float* out_;           // [rows, value_stride]
  float* maximum_;       // [rows]
  float* sum_;           // [rows]: of sums_
  float* sums_;          // [rows, kSoftmaxSums]
  float* keys_;          // [key_dim, kTileRows] transposed keys
  float* values_;        // [kTileRows, value_stride] copied values
  float* row_keys_;      // [kTileRows, key_dim] keys by row
  const TileRotation* rotation_;
  std::optional<TileRotation> own_rotation_;
  std::optional<TileRotation::First> first_row_;
  TileScratch tile_;
  bool is_bf16_;                        // products are of rounded numbers (bf16_tiles.h)
  std::uint16_t* packed16_ = nullptr;   // [rows, paired(key_dim)]
  std::uint16_t* capped16_ = nullptr;   // the same of capped_
  std::uint16_t* weights16_ = nullptr;  // [rows, kTileRows]
  std::uint16_t* pairs_ = nullptr;      // of keys, then of values
};

}  // namespace attnlab

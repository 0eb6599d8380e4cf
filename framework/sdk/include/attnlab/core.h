// The tiled attention core as plugins see it: tiles of keys from a source, hooks and masks per tile, one `attend`.
// Virtual calls are made once per tile, never per element.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include <attnlab/api.h>
#include <attnlab/chunk.h>
#include <attnlab/position_scheme.h>
#include <attnlab/scratch.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

/// Rows of a full tile. 64: keys and values of one tile (head_dim 128) stay in L2 beside a block of queries.
inline constexpr int kTileRows = 64;

/// What one cached row holds. `value_is_key_prefix`: the value is the front of the key and is not stored again (MLA).
struct KvShape {
  int kv_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  bool value_is_key_prefix = false;
  // The columns of a key (and a query) that rotation turns: `repeats` blocks of `width`, side by side from column
  // `first`. Width 0: the whole key, so what is written here is only for keys that carry more than one thing.
  int rotated_first = 0;
  int rotated_width = 0;
  int rotated_repeats = 1;
  [[nodiscard]] int rotation_width() const noexcept { return rotated_width > 0 ? rotated_width : key_dim; }
};

/// Turns the columns of keys or queries that the shape names; rows [n, heads, key_dim], rows of heads dense.
ATTNLAB_API void rotate_columns(const Rotation& rotation, const RotateArgs& args, const KvShape& shape,
                                TensorView<float, 3> rows);

/// A tile that its source did not number anew.
inline constexpr Position kNoCap = std::numeric_limits<Position>::max();

/// Rows as 8-bit codes, each row with a factor of its own. Null: there are none.
struct CodedRows {
  const std::int8_t* codes = nullptr;
  const float* scales = nullptr;  // [rows]
};

/// At most kTileRows rows of one kv head of one sequence.
struct KvTile {
  TensorView<const float, 2> keys;    // [rows, key_dim], any strides. Stored channel by channel (stride 1 from row
                                      // to row, kTileRows from channel to channel, readable to kTileRows rows)
                                      // it is used in place; else the core transposes it once per task.
  TensorView<const float, 2> values;  // [rows, value_dim], dense rows
  // In place of `keys` and `values`, each for itself, where the scratch takes them: key codes channel by channel,
  // kTileRows from channel to channel and readable to kTileRows rows; value codes row by row.
  CodedRows key_codes;
  CodedRows value_codes;
  std::span<const Position> positions;  // [rows], as the scheme should see them; any order
  PositionRange range;                  // of positions, so that a mask can skip the tile
  Position query_cap = kNoCap;          // against this tile a query counts as min(its position, query_cap)
  int rows() const noexcept { return static_cast<int>(positions.size()); }
};

/// Scratch of one task for sources that decode their rows: room for one tile. Never shared between threads.
struct TileScratch {
  std::span<float> keys;          // [key_dim x kTileRows], 64-byte aligned
  std::span<float> values;        // [kTileRows x value_dim], 64-byte aligned
  std::span<Position> positions;  // [kTileRows]
  bool takes_codes = false;       // the reader computes with codes as they are; no source has to give any
};

/// Whether keys come out of a source rotated or still have to be rotated, by the core, at the tile's positions.
enum class KeyForm : std::uint8_t { rotated, unrotated };

/// Scores of one tile: hooks edit them in place.
struct ScoreTile {
  TensorView<float, 3> scores;                // [group, queries, rows], scaled; rows are dense
  std::span<const Position> query_positions;  // [queries]
  std::span<const Position> key_positions;    // [rows]
  int first_head = 0;                         // scores(0, ...) belongs to this query head
};

/// A change of scores: softcap, bias, anything per element, in a plain loop.
class ATTNLAB_API ScoreHook {
 public:
  virtual ~ScoreHook();
  virtual void apply(ScoreTile& tile) const noexcept = 0;
};

/// What a query may see, by position. `cover` answers for a block of queries and a tile of keys at once.
class ATTNLAB_API MaskRule {
 public:
  enum class Cover : std::uint8_t { none, partial, full };
  virtual ~MaskRule();
  /// none: the tile is skipped; full: nothing is masked.
  virtual Cover cover(PositionRange queries, PositionRange keys) const noexcept = 0;
  /// Sets what is not seen to -infinity. Called only where cover is partial.
  virtual void mask(ScoreTile& tile) const noexcept = 0;
};

/// Key j is seen by query i where i - window < j <= i. window 0: no lower bound.
class ATTNLAB_API CausalMask final : public MaskRule {
 public:
  explicit CausalMask(Position window = 0) : window_(window) {}
  ~CausalMask() override;
  Cover cover(PositionRange queries, PositionRange keys) const noexcept override;
  void mask(ScoreTile& tile) const noexcept override;

 private:
  Position window_;
};

/// Who wants to know how much weight each row received (H2O, SnapKV ...): softmax probabilities, summed over the query
/// heads of the group and over the queries that count.
class ATTNLAB_API MassSink {
 public:
  virtual ~MassSink();
  /// Queries at this position and later count. Asked once per sequence and call of `attend`.
  virtual Position first_query(int sequence) const noexcept = 0;
  /// mass [rows], in the order of the tiles. Once per sequence, kv head and call of `attend` in which a query counts;
  /// a prompt that is fed in pieces adds piece by piece. Different kv heads may come from different threads.
  virtual void add(int sequence, int kv_head, std::span<const float> mass) noexcept = 0;
};

/// Who wants to see the queries (expected attention), as they were before rotation and scaling.
class ATTNLAB_API QuerySink {
 public:
  virtual ~QuerySink();
  /// queries [tokens, heads, key_dim] of the chunk. Once per call of `attend`, before any tile is read.
  virtual void add(const ChunkView& chunk, TensorView<const float, 3> queries) = 0;
};

/// Who lets a decode query read only some of the tiles, each query head for itself (Quest).
class ATTNLAB_API TileSelector {
 public:
  virtual ~TileSelector();
  /// queries [group, key_dim], as the keys are stored, not scaled. Sets reads [group, tiles], which comes as zeros, to
  /// one where the head reads the tile. Once per sequence and kv head of a decode step; from any thread.
  virtual void select(int sequence, int kv_head, TensorView<const float, 2> queries,
                      TensorView<std::uint8_t, 2> reads) const noexcept = 0;
};

/// Where `attend` reads keys and values. A LayerCache is one.
class ATTNLAB_API KvSource {
 public:
  virtual ~KvSource();
  virtual KvShape shape() const noexcept = 0;
  virtual KeyForm key_form() const noexcept = 0;
  virtual int tiles(int sequence, int kv_head) const noexcept = 0;
  /// Tile `index` of the list; in place, or decoded into the scratch. The list is frozen between two calls of append
  /// or end_chunk, and the method may be called from any thread.
  virtual KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept = 0;
  /// What the source's policy lets queries of a sequence see, beside the variant's own mask; null: everything.
  virtual const MaskRule* visibility(int /*sequence*/) const noexcept { return nullptr; }
  /// Nobody by default, and then nobody pays.
  virtual MassSink* mass_sink() const noexcept { return nullptr; }
  virtual QuerySink* query_sink() const noexcept { return nullptr; }
  virtual const TileSelector* selector() const noexcept { return nullptr; }
};

struct AttendArgs {
  TensorView<const float, 3> queries;  // [tokens, heads, key_dim], not rotated: the core rotates what it packs
  const ChunkView& chunk;
  const KvSource& source;
  float scale;
  const Rotation* rotation = nullptr;            // applied to queries, and to keys that come unrotated
  std::span<const ScoreHook* const> hooks = {};  // applied in this order: position bias, then the variant's own
  const MaskRule& mask;                          // applied last
  std::span<const float> sink_logits = {};       // [heads] or empty: one more logit a head, with no value behind it
};

/// out [tokens, heads, value_dim] = softmax(scale q k' + hooks, masked) v, for every sequence of the chunk over all
/// rows of the source. A query that sees no row gets zeros. Parallel inside; results do not depend on the number of
/// threads. Streaming softmax over tiles: Milakov & Gimelshein 2018, Dao et al. 2022.
ATTNLAB_API void attend(const AttendArgs& args, TensorView<float, 3> out);

}  // namespace attnlab

// The tiled attention core as plugins see it: tiles of keys from a source, and observers of weights and queries.
// Virtual calls are made once per tile, never per element. What happens to scores is in scores.h; the step that reads
// the tiles is `attend` in steps.h.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <span>

#include <attnlab/api.h>
#include <attnlab/chunk.h>
#include <attnlab/position_scheme.h>
#include <attnlab/scores.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

/// What one cached row holds. `value_is_key_prefix`: the value is the front of the key and is not stored again (MLA).
struct KvShape {
  int kv_heads = 0;
  int key_dim = 0;
  int value_dim = 0;
  bool value_is_key_prefix = false;
  // The columns of a key (and a query) that are rotated: `repeats` blocks of `width`, side by side from column `first`.
  // Width 0: the whole key. Other values are for keys of which only a part is rotated.
  int rotated_first = 0;
  int rotated_width = 0;
  int rotated_repeats = 1;
  int marks = 0;  // floats that a variant appends beside the key and the value of each row
  [[nodiscard]] int rotation_width() const noexcept { return rotated_width > 0 ? rotated_width : key_dim; }
};

/// Rotates the columns of keys or queries that the shape names; rows [n, heads, key_dim], rows of heads dense.
ATTNLAB_API void rotate_columns(const Rotation& rotation, const RotateArgs& args, const KvShape& shape,
                                TensorView<float, 3> rows);

/// The same for gradients of rotated rows: Rotation::rotate_back.
ATTNLAB_API void rotate_columns_back(const Rotation& rotation, const RotateArgs& args, const KvShape& shape,
                                     TensorView<float, 3> gradients);

/// The query_cap of a tile whose source did not renumber positions.
inline constexpr Position kNoCap = std::numeric_limits<Position>::max();

/// Rows as they are stored, for a reader that computes with them, in one of three forms.
struct CodedRows {
  const std::int8_t* codes = nullptr;     // number = code * the row's scale
  const std::uint16_t* bf16 = nullptr;    // numbers in bfloat16
  const std::uint8_t* nibbles = nullptr;  // two 4-bit codes a byte, the even component's in its low half:
                                          // number = code * scale + minimum, of the row and its group of components
  const float* scales = nullptr;          // [rows] of codes, [groups, kTileRows] of nibbles
  const float* minima = nullptr;          // [groups, kTileRows]
  int group = 0;                          // components, a multiple of 32 that divides the width
  [[nodiscard]] bool empty() const noexcept { return codes == nullptr && bf16 == nullptr && nibbles == nullptr; }
};

/// At most kTileRows rows of one kv head of one sequence.
struct KvTile {
  TensorView<const float, 2> keys;    // [rows, key_dim], any strides. Stored channel by channel (stride 1 from row
                                      // to row, kTileRows from channel to channel, readable to kTileRows rows)
                                      // it is used in place; else the core transposes it once per task.
  TensorView<const float, 2> values;  // [rows, value_dim], dense rows
  // In place of `keys` and `values`, each for itself, where the scratch takes them: of keys channel by channel,
  // kTileRows from channel to channel and readable to kTileRows rows; of values row by row.
  CodedRows key_codes;
  CodedRows value_codes;
  std::span<const Position> positions;  // [rows], as the scheme should see them; any order
  TensorView<const float, 2> marks;     // [rows, KvShape::marks]
  PositionRange range;                  // of positions, so that a mask can skip the tile
  Position query_cap = kNoCap;          // against this tile a query counts as min(its position, query_cap)
  int rows() const noexcept { return static_cast<int>(positions.size()); }
};

/// The first rows of a tile, whatever its layout, as rows of floats: keys [n, key_dim], values [n, value_dim], dense
/// rows; a view without data is left out. Not for tiles that are codes.
ATTNLAB_API void read_tile(const KvTile& tile, TensorView<float, 2> keys, TensorView<float, 2> values);

/// Scratch of one task for sources that decode their rows: room for one tile. Never shared between threads.
struct TileScratch {
  std::span<float> keys;          // [key_dim x kTileRows], 64-byte aligned
  std::span<float> values;        // [kTileRows x value_dim], 64-byte aligned
  std::span<Position> positions;  // [kTileRows]
  bool takes_codes = false;       // the reader computes with codes as they are; no source has to give any
};

/// Whether keys come out of a source rotated or still have to be rotated, by the core, at the tile's positions.
enum class KeyForm : std::uint8_t { rotated, unrotated };

/// An observer that receives how much weight each row got (H2O, SnapKV ...): softmax probabilities, summed over the
/// query heads of the group and over the queries that count.
class ATTNLAB_API MassSink {
 public:
  virtual ~MassSink();
  /// Queries at this position and later count. Asked once per sequence and call of `attend`.
  virtual Position first_query(int sequence) const noexcept = 0;
  /// mass [rows], in the order of the tiles. Once per sequence, kv head and call of `attend` in which a query counts;
  /// a prompt that is fed in pieces adds piece by piece. Different kv heads may come from different threads.
  virtual void add(int sequence, int kv_head, std::span<const float> mass) noexcept = 0;
};

/// An observer that receives the queries (expected attention), as they were before rotation and scaling.
class ATTNLAB_API QuerySink {
 public:
  virtual ~QuerySink();
  /// queries [tokens, heads, key_dim] of the chunk. Once per call of `attend`, before any tile is read.
  virtual void add(const ChunkView& chunk, TensorView<const float, 3> queries) = 0;
};

/// Neighbouring queries of one sequence, for one kv head.
struct QueryPlace {
  int sequence = 0;
  int kv_head = 0;
  int first_token = 0;                    // of the chunk
  std::span<const Position> positions{};  // [queries]
};

/// Lets queries read only some of the tiles; each query head chooses for itself (Quest). The core reads a tile if at
/// least one query of a block chose it. A variant that chooses by position, not by tile, uses a mask (scores.h).
class ATTNLAB_API TileSelector {
 public:
  virtual ~TileSelector();
  /// Whether the queries of this sequence choose tiles in this call; otherwise they read all of them. By default they
  /// choose in decode, where there is one token at a time. Called by one thread.
  virtual bool selects(const ChunkView& chunk, int sequence) const noexcept;
  /// queries [queries, group, key_dim], as the keys are stored, not scaled. Sets reads [queries, group, tiles], which
  /// comes as zeros, to one where the head of that query reads the tile: at least one. Once for each block of queries
  /// of a sequence and kv head; from any thread.
  virtual void select(const QueryPlace& place, TensorView<const float, 3> queries,
                      TensorView<std::uint8_t, 3> reads) const noexcept = 0;
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
  /// Null, as by default: nothing is computed for it.
  virtual MassSink* mass_sink() const noexcept { return nullptr; }
  virtual QuerySink* query_sink() const noexcept { return nullptr; }
  virtual const TileSelector* selector() const noexcept { return nullptr; }
};

/// Visits the tiles of one list, the last first, until `visit` returns false: for a variant that reads rows itself.
/// Keys and values are as they are stored, and valid only during the call. From any thread.
ATTNLAB_API void for_each_tile(const KvSource& source, int sequence, int kv_head,
                               const std::function<bool(const KvTile&)>& visit);

}  // namespace attnlab

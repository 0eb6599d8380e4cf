// The tiled attention core. A task is (sequence, kv head, block of queries, range of tiles); all query heads of the kv
// head are handled together, so each tile of keys is read once for the group. Where a sequence has few queries and many
// tiles (decode), the tiles are split over tasks in ranges of a fixed size and the parts merged in order: the split
// follows from shapes only, so results are bitwise the same for every number of threads.
// Not here: the arithmetic of a tile (tile_kernels), the slow reference (tests/).
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <attnlab/core.h>

#include "core/tile_kernels.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr int kBlockRows = 96;   // query rows (queries x group) of one task: scores and output stay in L1 and L2
constexpr int kSplitTiles = 8;   // tiles of one task when the keys are split
constexpr int kMaskQueries = 8;  // granularity at which queries that see nothing of a tile are left out

int padded(int width) { return (width + 15) / 16 * 16; }

struct Task {
  int sequence;
  int kv_head;
  int first_query;  // within the sequence's tokens of this chunk
  int queries;
  int first_tile;
  int tiles;
  int split;  // index of the part; -1: the task writes the result itself
};

// Running state of the online softmax and the working memory of one task. Rows are query-major: row = query * group +
// member.
struct BlockState {
  int rows;
  int value_stride;
  float* packed;        // [rows, key_dim] queries, rotated and scaled
  float* capped;        // [rows, key_dim] the same, numbered for tiles with a query cap
  float* scores;        // [rows, kTileRows]
  float* out;           // [rows, value_stride]
  float* maximum;       // [rows]
  float* sum;           // [rows]
  float* keys;          // [key_dim, kTileRows] transposed keys
  float* values;        // [kTileRows, value_stride] copied values
  float* row_keys;      // [kTileRows, key_dim] keys that still have to be rotated
  std::span<Position> capped_positions;
  TileScratch tile;
};

class Attend {
 public:
  Attend(const AttendArgs& args, TensorView<float, 3> out)
      : args_(args),
        out_(out),
        shape_(args.source.shape()),
        heads_(static_cast<int>(args.queries.extent(1))),
        group_(heads_ / shape_.kv_heads) {
    ATTNLAB_CHECK(heads_ % shape_.kv_heads == 0, "query heads are no multiple of kv heads");
    ATTNLAB_CHECK(args.queries.extent(2) == shape_.key_dim && out.extent(2) == shape_.value_dim,
                  "queries or output have another width than the rows");
  }

  void run();

 private:
  void plan();
  void run_task(const Task& task);
  void pack_queries(const Task& task, std::span<const Position> positions, float* to) const;
  void add_tile(const Task& task, const KvTile& tile, BlockState& state) const;
  const float* channel_major(const Task& task, const KvTile& tile, BlockState& state) const;
  BlockState make_state(const Task& task, Scratch& scratch) const;
  void write(const Task& task, const float* out, int stride, const float* maximum, const float* sum) const;
  void merge(const Task& first) const;

  std::span<const Position> query_positions(const Task& task) const {
    return args_.chunk.positions_of(task.sequence).subspan(task.first_query, task.queries);
  }
  // [rows, value_stride + 2] of one part: output, maximum and sum.
  float* part(const Task& task) const {
    const int width = padded(shape_.value_dim) + 2;
    return parts_.data() + static_cast<std::int64_t>(task.split) * part_rows_ * width;
  }

  const AttendArgs& args_;
  TensorView<float, 3> out_;
  KvShape shape_;
  int heads_;
  int group_;
  std::vector<Task>& tasks_ = task_list();
  std::vector<Task>& merges_ = merge_list();
  std::span<float> parts_;
  int part_rows_ = 0;
  int splits_ = 0;

  // Reused by every call of a thread: a decode step allocates nothing.
  static std::vector<Task>& task_list() {
    thread_local std::vector<Task> tasks;
    tasks.clear();
    return tasks;
  }
  static std::vector<Task>& merge_list() {
    thread_local std::vector<Task> tasks;
    tasks.clear();
    return tasks;
  }
};

void Attend::plan() {
  const int block = std::max(1, kBlockRows / group_);
  for (int sequence = 0; sequence < args_.chunk.sequences(); ++sequence) {
    const int queries = args_.chunk.tokens_of(sequence);
    if (queries == 0) continue;
    for (int kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
      const int tiles = args_.source.tiles(sequence, kv_head);
      const bool splits = queries * group_ <= kBlockRows / 2 && tiles > kSplitTiles;
      if (splits) {
        merges_.push_back({sequence, kv_head, 0, queries, 0, tiles, splits_});
        for (int first = 0; first < tiles; first += kSplitTiles)
          tasks_.push_back({sequence, kv_head, 0, queries, first, std::min(kSplitTiles, tiles - first), splits_++});
        part_rows_ = std::max(part_rows_, queries * group_);
      } else {
        // The last block first: with a causal mask it has the most to do.
        for (int first = (queries - 1) / block * block; first >= 0; first -= block)
          tasks_.push_back({sequence, kv_head, first, std::min(block, queries - first), 0, tiles, -1});
      }
    }
  }
}

void Attend::run() {
  plan();
  thread_local Scratch scratch;
  const Scratch::Scope scope(scratch);
  parts_ = scratch.floats(static_cast<std::int64_t>(splits_) * part_rows_ * (padded(shape_.value_dim) + 2));
  parallel_for(static_cast<int>(tasks_.size()), [&](int index, WorkerSlot) { run_task(tasks_[index]); });
  parallel_for(static_cast<int>(merges_.size()), [&](int index, WorkerSlot) { merge(merges_[index]); });
}

BlockState Attend::make_state(const Task& task, Scratch& scratch) const {
  const int rows = task.queries * group_;
  const int stride = padded(shape_.value_dim);
  const auto floats = [&](std::int64_t count) { return scratch.floats(count).data(); };
  BlockState state{};
  state.rows = rows;
  state.value_stride = stride;
  state.packed = floats(static_cast<std::int64_t>(rows) * shape_.key_dim);
  state.capped = nullptr;
  state.scores = floats(static_cast<std::int64_t>(rows) * kTileRows);
  state.out = floats(static_cast<std::int64_t>(rows) * stride);
  state.maximum = floats(rows);
  state.sum = floats(rows);
  state.keys = floats(static_cast<std::int64_t>(padded(shape_.key_dim)) * kTileRows);
  state.values = floats(static_cast<std::int64_t>(kTileRows) * stride);
  state.row_keys = floats(static_cast<std::int64_t>(kTileRows) * shape_.key_dim);
  state.tile.keys = scratch.floats(static_cast<std::int64_t>(shape_.key_dim) * kTileRows);
  state.tile.values = scratch.floats(static_cast<std::int64_t>(kTileRows) * stride);
  static_assert(sizeof(Position) == sizeof(float));
  state.tile.positions = {reinterpret_cast<Position*>(floats(kTileRows)), kTileRows};
  state.capped_positions = {reinterpret_cast<Position*>(floats(task.queries)), static_cast<std::size_t>(task.queries)};
  std::fill_n(state.out, static_cast<std::int64_t>(rows) * stride, 0.0F);
  std::fill_n(state.maximum, rows, kLowest);
  std::fill_n(state.sum, rows, 0.0F);
  return state;
}

void Attend::pack_queries(const Task& task, std::span<const Position> positions, float* to) const {
  const int first_token = args_.chunk.first(task.sequence) + task.first_query;
  const int width = shape_.key_dim;
  for (int query = 0; query < task.queries; ++query)
    for (int member = 0; member < group_; ++member)
      scale_copy(&args_.queries(first_token + query, task.kv_head * group_ + member, 0), width, args_.scale,
                 to + static_cast<std::int64_t>(query * group_ + member) * width);
  if (args_.rotation != nullptr)
    args_.rotation->rotate({positions, args_.chunk.lengths[task.sequence], RotateSide::query},
                           {to, {task.queries, group_, width}});
}

// The keys of a tile as [key_dim, kTileRows], in place where the source stores them so.
const float* Attend::channel_major(const Task& task, const KvTile& tile, BlockState& state) const {
  const int rows = tile.rows();
  const int width = shape_.key_dim;
  const bool rotates = args_.rotation != nullptr && args_.source.key_form() == KeyForm::unrotated;
  const bool by_channel = tile.keys.stride(0) == 1 && tile.keys.stride(1) == kTileRows;
  if (!rotates && by_channel) return tile.keys.data();
  const float* from = tile.keys.data();
  std::int64_t stride = tile.keys.stride(0);
  if (rotates || tile.keys.stride(1) != 1) {
    for (int row = 0; row < rows; ++row)
      for (int channel = 0; channel < width; ++channel)
        state.row_keys[row * width + channel] = tile.keys(row, channel);
    if (rotates)
      args_.rotation->rotate({tile.positions, args_.chunk.lengths[task.sequence], RotateSide::key},
                             {state.row_keys, {rows, 1, width}});
    from = state.row_keys;
    stride = width;
  }
  transpose_tile(from, stride, rows, width, state.keys, kTileRows);
  return state.keys;
}

void Attend::add_tile(const Task& task, const KvTile& tile, BlockState& state) const {
  const int rows = tile.rows();
  if (rows == 0) return;
  std::span<const Position> positions = query_positions(task);
  const float* queries = state.packed;
  if (tile.query_cap != kNoCap) {
    positions = state.capped_positions;
    queries = state.capped;
  }
  // Queries that see nothing of the tile are left out, in steps; what lies between is computed and masked.
  const MaskRule* visibility = args_.source.visibility();
  std::array<MaskRule::Cover, kBlockRows / kMaskQueries> seen;     // by the variant's mask
  std::array<MaskRule::Cover, kBlockRows / kMaskQueries> allowed;  // by the policy
  const int steps = (task.queries + kMaskQueries - 1) / kMaskQueries;
  int first_step = steps;
  int end_step = 0;
  for (int step = 0; step < steps; ++step) {
    const int last = std::min((step + 1) * kMaskQueries, task.queries) - 1;
    const PositionRange range{positions[step * kMaskQueries], positions[last]};
    seen[step] = args_.mask.cover(range, tile.range);
    allowed[step] = visibility == nullptr ? MaskRule::Cover::full : visibility->cover(range, tile.range);
    if (seen[step] == MaskRule::Cover::none || allowed[step] == MaskRule::Cover::none) continue;
    first_step = std::min(first_step, step);
    end_step = step + 1;
  }
  if (end_step == 0) return;
  const auto is_partial = [&](const auto& covers) {
    return std::any_of(covers.begin() + first_step, covers.begin() + end_step,
                       [](MaskRule::Cover cover) { return cover != MaskRule::Cover::full; });
  };
  const int first = first_step * kMaskQueries;
  const int end = std::min(end_step * kMaskQueries, task.queries);

  const int first_row = first * group_;
  const int count = (end - first) * group_;
  float* scores = state.scores + static_cast<std::int64_t>(first_row) * kTileRows;
  tile_product({.a = queries + static_cast<std::int64_t>(first_row) * shape_.key_dim,
                .a_stride = shape_.key_dim,
                .b = channel_major(task, tile, state),
                .b_stride = kTileRows,
                .out = scores,
                .out_stride = kTileRows,
                .rows = count,
                .columns = rows,
                .depth = shape_.key_dim,
                .accumulate = false});

  ScoreTile view{.scores = {scores, {group_, end - first, rows}, {kTileRows, group_ * kTileRows, 1}},
                 .query_positions = positions.subspan(first, end - first),
                 .key_positions = tile.positions,
                 .first_head = task.kv_head * group_};
  for (const ScoreHook* hook : args_.hooks) hook->apply(view);
  if (is_partial(seen)) args_.mask.mask(view);
  if (is_partial(allowed)) visibility->mask(view);

  for (int row = first_row; row < first_row + count; ++row) {
    const float keep = softmax_step(state.scores + static_cast<std::int64_t>(row) * kTileRows, rows,
                                    state.maximum[row], state.sum[row]);
    if (keep != 1.0F) scale_row(state.out + static_cast<std::int64_t>(row) * state.value_stride, state.value_stride, keep);
  }

  const float* values = tile.values.data();
  std::int64_t stride = tile.values.stride(0);
  if (shape_.value_dim % 16 != 0) {  // the product reads whole vectors, which must not leave the source's memory
    for (int row = 0; row < rows; ++row) {
      float* to = state.values + static_cast<std::int64_t>(row) * state.value_stride;
      std::copy_n(values + row * stride, shape_.value_dim, to);
      std::fill_n(to + shape_.value_dim, state.value_stride - shape_.value_dim, 0.0F);
    }
    values = state.values;
    stride = state.value_stride;
  }
  tile_product({.a = scores,
                .a_stride = kTileRows,
                .b = values,
                .b_stride = stride,
                .out = state.out + static_cast<std::int64_t>(first_row) * state.value_stride,
                .out_stride = state.value_stride,
                .rows = count,
                .columns = shape_.value_dim,
                .depth = rows,
                .accumulate = true});
}

void Attend::run_task(const Task& task) {
  thread_local Scratch scratch;
  const Scratch::Scope scope(scratch);
  BlockState state = make_state(task, scratch);
  pack_queries(task, query_positions(task), state.packed);
  Position packed_cap = kNoCap;
  for (int index = task.first_tile; index < task.first_tile + task.tiles; ++index) {
    const KvTile tile = args_.source.tile(task.sequence, task.kv_head, index, state.tile);
    if (tile.query_cap != packed_cap && tile.query_cap != kNoCap) {
      if (state.capped == nullptr)
        state.capped = scratch.floats(static_cast<std::int64_t>(state.rows) * shape_.key_dim).data();
      packed_cap = tile.query_cap;
      const std::span<const Position> positions = query_positions(task);
      for (int i = 0; i < task.queries; ++i) state.capped_positions[i] = std::min(positions[i], packed_cap);
      pack_queries(task, state.capped_positions, state.capped);
    }
    add_tile(task, tile, state);
  }
  if (task.split < 0) {
    write(task, state.out, state.value_stride, state.maximum, state.sum);
    return;
  }
  float* to = part(task);
  const int width = state.value_stride;
  std::copy_n(state.out, static_cast<std::int64_t>(state.rows) * width, to);
  std::copy_n(state.maximum, state.rows, to + static_cast<std::int64_t>(part_rows_) * width);
  std::copy_n(state.sum, state.rows, to + static_cast<std::int64_t>(part_rows_) * (width + 1));
}

// Divides by the sum, which the sink logit joins, and spreads the rows over tokens and heads.
void Attend::write(const Task& task, const float* out, int stride, const float* maximum, const float* sum) const {
  const int first_token = args_.chunk.first(task.sequence) + task.first_query;
  for (int query = 0; query < task.queries; ++query) {
    for (int member = 0; member < group_; ++member) {
      const int row = query * group_ + member;
      const int head = task.kv_head * group_ + member;
      float total = sum[row];
      float factor = 1.0F;
      if (!args_.sink_logits.empty()) {
        const float sink = args_.sink_logits[head];
        const float larger = std::max(maximum[row], sink);
        factor = std::exp(maximum[row] - larger);
        total = total * factor + std::exp(sink - larger);
      }
      scale_copy(out + static_cast<std::int64_t>(row) * stride, shape_.value_dim, total > 0 ? factor / total : 0.0F,
                 &out_(first_token + query, head, 0));
    }
  }
}

void Attend::merge(const Task& first) const {
  thread_local Scratch scratch;
  const Scratch::Scope scope(scratch);
  const int rows = first.queries * group_;
  const int width = padded(shape_.value_dim);
  float* out = scratch.floats(static_cast<std::int64_t>(rows) * width).data();
  float* maximum = scratch.floats(rows).data();
  float* sum = scratch.floats(rows).data();
  std::fill_n(out, static_cast<std::int64_t>(rows) * width, 0.0F);
  std::fill_n(maximum, rows, kLowest);
  std::fill_n(sum, rows, 0.0F);
  const int splits = (first.tiles + kSplitTiles - 1) / kSplitTiles;
  for (int split = 0; split < splits; ++split) {
    Task task = first;
    task.split += split;
    const float* from = part(task);
    const float* part_maximum = from + static_cast<std::int64_t>(part_rows_) * width;
    const float* part_sum = from + static_cast<std::int64_t>(part_rows_) * (width + 1);
    for (int row = 0; row < rows; ++row) {
      if (part_maximum[row] == kLowest) continue;  // nothing of this part is seen
      const float larger = std::max(maximum[row], part_maximum[row]);
      const float keep = std::exp(maximum[row] - larger);
      const float factor = std::exp(part_maximum[row] - larger);
      float* to = out + static_cast<std::int64_t>(row) * width;
      scale_row(to, width, keep);
      add_scaled(from + static_cast<std::int64_t>(row) * width, width, factor, to);
      sum[row] = sum[row] * keep + part_sum[row] * factor;
      maximum[row] = larger;
    }
  }
  write(first, out, width, maximum, sum);
}

}  // namespace

void attend(const AttendArgs& args, TensorView<float, 3> out) { Attend(args, out).run(); }

}  // namespace attnlab

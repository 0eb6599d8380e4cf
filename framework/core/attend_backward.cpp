// A task owns one kv head of one sequence: it goes through blocks of queries and, for each, through the tiles that the
// block sees. Gradients of queries are complete after a block, those of keys and values after the last block.
#include "core/attend_backward.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <attnlab/error.h>

#include "base/plugin_call.h"
#include "core/attend_rows_backward.h"
#include "core/attend_work.h"
#include "core/query_block.h"
#include "core/task_gradients.h"
#include "parallel/parallel.h"
#include "tiles/tile_kernels.h"

namespace attnlab {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

class HeadBackward {
 public:
  HeadBackward(const AttendArgs& args, TensorView<const float, 3> out, TensorView<const float, 2> log_sum,
               const AttendGradients& gradients, TaskGradients& others, Scratch& scratch, int sequence, int kv_head)
      : args_(args),
        out_(out),
        log_sum_(log_sum),
        gradients_(gradients),
        others_(others),
        scratch_(scratch),
        shape_(args.source.shape()),
        sequence_(sequence),
        kv_head_(kv_head),
        group_(static_cast<int>(args.queries.extent(1)) / shape_.kv_heads),
        key_width_(padded(shape_.key_dim)),
        value_width_(padded(shape_.value_dim)),
        first_token_(args.chunk.first(sequence)),
        first_row_(gradients.rows.chunk.first(sequence)),
        tiles_(args.source.tiles(sequence, kv_head)) {
    const std::int64_t rows = std::int64_t{tiles_} * kTileRows;
    keys_ = scratch.floats(rows * key_width_).data();
    values_ = scratch.floats(rows * value_width_).data();
    of_keys_ = scratch.floats(rows * key_width_).data();
    of_values_ = scratch.floats(rows * value_width_).data();
    std::fill_n(of_keys_, rows * key_width_, 0.0F);
    std::fill_n(of_values_, rows * value_width_, 0.0F);
    if (shape_.marks > 0) {
      of_marks_ = scratch.floats(rows * shape_.marks).data();
      std::fill_n(of_marks_, rows * shape_.marks, 0.0F);
    }
    for (int index = 0; index < tiles_; ++index) take_tile(index);
  }

  void run() {
    const int block = std::max(1, kBlockRows / group_);
    const int queries = args_.chunk.tokens_of(sequence_);
    fetch_block(0, std::min(block, queries));
    for (int first = 0; first < queries; first += block) {
      const int end = std::min(first + block, queries);
      fetch_block(end, std::min(end + block, queries));  // of the next one, while this one is computed
      undo_block({sequence_, kv_head_, first, end - first});
    }
    for (int index = 0; index < tiles_; ++index) give_tile(index);
  }

 private:
  [[nodiscard]] float* keys(int index) const { return keys_ + std::int64_t{index} * kTileRows * key_width_; }
  [[nodiscard]] float* values(int index) const { return values_ + std::int64_t{index} * kTileRows * value_width_; }

  // Keys as rows, turned; values by channel.
  void take_tile(int index) {
    const Scratch::Scope scope(scratch_);
    std::vector<Position> positions(kTileRows);
    TileScratch room{scratch_.floats(std::int64_t{shape_.key_dim} * kTileRows),
                     scratch_.floats(std::int64_t{kTileRows} * shape_.value_dim), positions};
    const KvTile tile = args_.source.tile(sequence_, kv_head_, index, room);
    const int rows = tile.rows();
    std::fill_n(keys(index), std::int64_t{kTileRows} * key_width_, 0.0F);
    const TensorView<float, 2> as_rows(keys(index), {rows, shape_.key_dim}, {key_width_, 1});
    const auto value_rows = scratch_.rows(rows, shape_.value_dim);
    read_tile(tile, as_rows, value_rows);
    if (turns_keys())
      rotate_columns(*args_.rotation, key_places(tile.positions), shape_,
                     {keys(index), {rows, 1, shape_.key_dim}, {key_width_, key_width_, 1}});
    transpose_tile(value_rows.data(), shape_.value_dim, rows, shape_.value_dim, values(index), kTileRows);
  }
  [[nodiscard]] bool turns_keys() const {
    return args_.rotation != nullptr && args_.source.key_form() == KeyForm::unrotated;
  }
  [[nodiscard]] RotateArgs key_places(std::span<const Position> positions) const {
    return {positions, args_.chunk.lengths[sequence_], RotateSide::key};
  }

  // What a block reads and writes lies apart, head by head of each token.
  void fetch_block(int first, int end) const {
    for (int query = first; query < end; ++query) {
      const std::int64_t token = first_token_ + query;
      const std::int64_t head = std::int64_t{kv_head_} * group_;
      fetch_rows(&args_.queries(token, head, 0), args_.queries.stride(1), group_, shape_.key_dim);
      fetch_rows(&out_(token, head, 0), out_.stride(1), group_, shape_.value_dim);
      fetch_rows(&gradients_.out(token, head, 0), gradients_.out.stride(1), group_, shape_.value_dim);
      fetch_rows(&gradients_.queries(token, head, 0), gradients_.queries.stride(1), group_, shape_.key_dim);
    }
  }

  void undo_block(const QueryRange& range) {
    const Scratch::Scope scope(scratch_);
    QueryBlock block(args_, range, scratch_);
    const int rows = block.rows();
    const auto of_out = scratch_.rows(rows, value_width_);  // of the output
    const auto of_query = scratch_.rows(rows, key_width_);  // of packed queries: turned and scaled
    const auto scores = scratch_.rows(rows, kTileRows);     // weights
    const auto of_scores = scratch_.rows(rows, kTileRows);
    const std::span<float> means = scratch_.floats(rows);  // what the softmax takes from every gradient of a row
    const std::span<float> log_sums = scratch_.floats(rows);
    std::fill_n(of_out.data(), of_out.elements(), 0.0F);
    std::fill_n(of_query.data(), of_query.elements(), 0.0F);
    for (int row = 0; row < rows; ++row) take_row(range, row, of_out.row(row).data(), means[row], log_sums[row]);

    std::vector<std::vector<float>> before(args_.hooks.size());  // scores that each hook found
    const QueryBlock::BeforeHook keep = [&](std::size_t hook, const ScoreTile& tile) {
      if (args_.hooks[hook]->derivative() == Derivative::own) keep_scores(tile.scores, before[hook]);
    };
    for (int index = 0; index < tiles_; ++index) {
      const KvTile tile = block.tile(index);
      const TileScores scored = block.score(index, tile, &keep);
      if (scored.rows == 0) continue;
      undo_tile(block, tile, index, scored,
                {of_out.data(), of_query.data(), scores.data(), of_scores.data(), means, log_sums}, before);
    }
    give_queries(block, range, of_query);
  }

  struct BlockRooms {
    const float* of_out;  // [rows, value_width]
    float* of_query;      // [rows, key_width]
    float* weights;       // [rows, kTileRows]
    float* of_scores;     // [rows, kTileRows]
    std::span<const float> means, log_sums;
  };

  // Of one query head: its gradient, the sum of gradient times output, and the sink's part.
  void take_row(const QueryRange& range, int row, float* of_out, float& mean, float& log_sum) {
    const std::int64_t token = first_token_ + range.first + row / group_;
    const std::int64_t head = std::int64_t{kv_head_} * group_ + row % group_;
    std::copy_n(&gradients_.out(token, head, 0), shape_.value_dim, of_out);
    mean = 0;
    log_sum = 0;
    if (args_.weighting != nullptr) return;
    mean = dot_product(of_out, &out_(token, head, 0), shape_.value_dim);
    if (gradients_.log_sum.data() != nullptr) mean -= gradients_.log_sum(token, head);
    log_sum = log_sum_(token, head);
    if (!args_.sink_logits.empty() && log_sum != kLowest)
      others_.of_parameter(args_.sink_logits)[head] -= std::exp(args_.sink_logits[head] - log_sum) * mean;
  }

  static void keep_scores(TensorView<const float, 3> scores, std::vector<float>& to) {
    to.resize(static_cast<std::size_t>(scores.elements()));
    float* next = to.data();
    for (std::int64_t member = 0; member < scores.extent(0); ++member)
      for (std::int64_t query = 0; query < scores.extent(1); ++query, next += scores.extent(2))
        std::copy_n(&scores(member, query, 0), scores.extent(2), next);
  }

  void undo_tile(QueryBlock& block, const KvTile& tile, int index, const TileScores& scored, const BlockRooms& rooms,
                 const std::vector<std::vector<float>>& before) {
    const int rows = scored.columns;
    const int first = scored.first_row;
    float* const weights = rooms.weights;
    float* const of_scores = rooms.of_scores;
    const float* const of_out = rooms.of_out + std::int64_t{first} * value_width_;
    tile_product({.a = of_out,
                  .a_stride = value_width_,
                  .b = values(index),
                  .b_stride = kTileRows,
                  .out = of_scores,
                  .out_stride = kTileRows,
                  .rows = scored.rows,
                  .columns = rows,
                  .depth = shape_.value_dim,
                  .accumulate = false});
    const TensorView<float, 3> by_member(of_scores, {group_, scored.rows / group_, rows},
                                         {kTileRows, group_ * kTileRows, 1});
    ScoreTile seen = block.tile_of(tile, scored);
    if (args_.weighting != nullptr) {
      std::copy_n(scored.scores, std::int64_t{scored.rows} * kTileRows, weights);
      ScoreTile weighed = seen;
      weighed.scores = {weights, {group_, scored.rows / group_, rows}, {kTileRows, group_ * kTileRows, 1}};
      args_.weighting->weigh(weighed, block.seen(scored));
      args_.weighting->backward(seen, block.seen(scored), by_member);
    } else {
      softmax_backward({.scores = scored.scores,
                        .rows = scored.rows,
                        .columns = rows,
                        .log_sums = &rooms.log_sums[first],
                        .means = &rooms.means[first],
                        .weights = weights,
                        .gradients = of_scores});
    }
    add_to_rows(weights, scored.rows, rows, of_out, value_width_, shape_.value_dim,
                of_values_ + std::int64_t{index} * kTileRows * value_width_);
    undo_hooks(seen, index, by_member, rooms.of_query + std::int64_t{first} * key_width_, before);
    tile_product({.a = of_scores,
                  .a_stride = kTileRows,
                  .b = keys(index),
                  .b_stride = key_width_,
                  .out = rooms.of_query + std::int64_t{first} * key_width_,
                  .out_stride = key_width_,
                  .rows = scored.rows,
                  .columns = shape_.key_dim,
                  .depth = rows,
                  .accumulate = true});
    add_key_gradients(seen, of_scores, scored.rows, rows, index);
  }

  // to [tile rows, width] += numbers' [tile rows, rows] of_rows [rows, width]
  static void add_to_rows(const float* numbers, int rows, int tile_rows, const float* of_rows, int stride, int width,
                          float* to) {
    tile_product_transposed({.a = numbers,
                             .a_stride = kTileRows,
                             .b = of_rows,
                             .b_stride = stride,
                             .out = to,
                             .out_stride = stride,
                             .rows = tile_rows,
                             .columns = width,
                             .depth = rows,
                             .accumulate = true});
  }

  // The packed queries of a block are dense; the product reads whole vectors.
  void add_key_gradients(const ScoreTile& seen, const float* of_scores, int rows, int tile_rows, int index) {
    float* const to = of_keys_ + std::int64_t{index} * kTileRows * key_width_;
    if (shape_.key_dim == key_width_)
      return add_to_rows(of_scores, rows, tile_rows, seen.queries.data(), key_width_, shape_.key_dim, to);
    const Scratch::Scope scope(scratch_);
    const auto wide = scratch_.rows(rows, key_width_);
    std::fill_n(wide.data(), wide.elements(), 0.0F);
    for (int row = 0; row < rows; ++row)
      std::copy_n(seen.queries.data() + std::int64_t{row} * shape_.key_dim, shape_.key_dim, wide.row(row).data());
    add_to_rows(of_scores, rows, tile_rows, wide.data(), key_width_, shape_.key_dim, to);
  }

  void undo_hooks(ScoreTile seen, int index, TensorView<float, 3> of_scores, float* of_query,
                  const std::vector<std::vector<float>>& before) {
    const std::int64_t queries = of_scores.extent(1);
    const ScoreGradients given{
        .scores = of_scores,
        .key_marks = {of_marks_ + std::int64_t{index} * kTileRows * shape_.marks, {of_scores.extent(2), shape_.marks}},
        .queries = {of_query, {queries, group_, shape_.key_dim}, {std::int64_t{group_} * key_width_, key_width_, 1}},
        .others = others_};
    for (std::size_t hook = args_.hooks.size(); hook-- > 0;) {
      if (args_.hooks[hook]->derivative() != Derivative::own) continue;
      seen.scores = {const_cast<float*>(before[hook].data()), {group_, queries, of_scores.extent(2)}};
      args_.hooks[hook]->backward(seen, given);
    }
  }

  void give_queries(const QueryBlock& block, const QueryRange& range, TensorView<float, 2> of_query) {
    if (args_.rotation != nullptr)
      rotate_columns_back(
          *args_.rotation, {block.positions(), args_.chunk.lengths[sequence_], RotateSide::query}, shape_,
          {of_query.data(), {range.count, group_, shape_.key_dim}, {std::int64_t{group_} * key_width_, key_width_, 1}});
    for (int row = 0; row < block.rows(); ++row)
      add_scaled(of_query.row(row).data(), shape_.key_dim, args_.scale,
                 &gradients_.queries(first_token_ + range.first + row / group_, kv_head_ * group_ + row % group_, 0));
  }

  void give_tile(int index) {
    const Scratch::Scope scope(scratch_);
    std::vector<Position> positions(kTileRows);
    TileScratch room{scratch_.floats(std::int64_t{shape_.key_dim} * kTileRows),
                     scratch_.floats(std::int64_t{kTileRows} * shape_.value_dim), positions};
    const KvTile tile = args_.source.tile(sequence_, kv_head_, index, room);
    const std::int64_t at = std::int64_t{index} * kTileRows;
    float* const of_keys = of_keys_ + at * key_width_;
    if (turns_keys())
      rotate_columns_back(*args_.rotation, key_places(tile.positions), shape_,
                          {of_keys, {tile.rows(), 1, shape_.key_dim}, {key_width_, key_width_, 1}});
    for (int row = 0; row < tile.rows(); ++row) {
      const std::int64_t token = first_row_ + tile.positions[row];
      add_scaled(of_keys + std::int64_t{row} * key_width_, shape_.key_dim, 1,
                 &gradients_.rows.keys(token, kv_head_, 0));
      add_scaled(of_values_ + (at + row) * value_width_, shape_.value_dim, 1,
                 &gradients_.rows.values(token, kv_head_, 0));
      for (int mark = 0; mark < shape_.marks; ++mark)
        gradients_.rows.marks(token, kv_head_, mark) += of_marks_[(at + row) * shape_.marks + mark];
    }
  }

  const AttendArgs& args_;
  TensorView<const float, 3> out_;
  TensorView<const float, 2> log_sum_;
  const AttendGradients& gradients_;
  TaskGradients& others_;
  Scratch& scratch_;
  KvShape shape_;
  int sequence_;
  int kv_head_;
  int group_;
  int key_width_, value_width_;  // whole vectors
  int first_token_;              // of the sequence, in the chunk of the queries
  int first_row_;                // and in that of the rows
  int tiles_;
  float* keys_;                // [tiles * kTileRows, key_width]
  float* values_;              // [tiles][value_width, kTileRows]
  float* of_keys_;             // [tiles * kTileRows, key_width]
  float* of_values_;           // [tiles * kTileRows, value_width]
  float* of_marks_ = nullptr;  // [tiles * kTileRows, marks]
};

// The chunk is all that the source holds: row of position p belongs to token p of the sequence.
void check_rows(const AttendArgs& args) {
  if (args.source.selector() != nullptr || args.source.mass_sink() != nullptr || args.source.query_sink() != nullptr)
    throw Error("", "a cache that selects or watches rows has no derivative",
                "a model is trained with a cache that keeps every row");
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence)
    if (args.chunk.tokens_of(sequence) > 0 && args.chunk.positions[args.chunk.first(sequence)] != 0)
      throw Error("", "a derivative over rows of earlier calls", "a sequence is trained whole, in one call");
}

}  // namespace

void check_differentiable(const AttendArgs& args) {
  for (const ScoreHook* hook : args.hooks) hook->require_derivative();
  if (args.row_bias != nullptr) args.row_bias->require_derivative();
  if (args.weighting != nullptr && args.weighting->derivative() != Derivative::own)
    throw Error("", "its weighting of scores has no derivative, so it cannot be trained",
                "declare `derivative` and write `backward` for it");
  if (args.row_weighting != nullptr && args.row_weighting->derivative() != Derivative::own)
    throw Error("", "its weighting of scores has no derivative, so it cannot be trained",
                "declare `derivative` and write `weigh_backward` for it");
}

void attend_backward(const AttendArgs& args, TensorView<const float, 3> out, TensorView<const float, 2> log_sum,
                     const AttendGradients& gradients) {
  check_rows(args);
  if (args.needs_whole_rows()) return attend_rows_backward(args, log_sum, gradients);
  const int kv_heads = args.source.shape().kv_heads;
  const int tasks = args.chunk.sequences() * kv_heads;
  std::vector<TaskGradients> others(static_cast<std::size_t>(tasks), TaskGradients(gradients.others));
  parallel_for(tasks, attend_backward_work(args), [&](int task, WorkerSlot) {
    const int sequence = task / kv_heads;
    if (args.chunk.tokens_of(sequence) == 0) return;
    thread_local Scratch scratch;
    const Scratch::Scope scope(scratch);
    HeadBackward(args, out, log_sum, gradients, others[task], scratch, sequence, task % kv_heads).run();
  });
  for (TaskGradients& task : others) task.add_to_common();
}

}  // namespace attnlab

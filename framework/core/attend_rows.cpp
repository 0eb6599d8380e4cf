#include "core/attend_rows.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "base/plugin_call.h"
#include "core/query_block.h"
#include "parallel/parallel.h"

namespace attnlab {
namespace {

constexpr std::int64_t kMostScores = std::int64_t{1} << 20;  // that a block holds: 4 MiB

// Queries of one sequence, for one kv head or for all.
struct RowTask {
  int sequence;
  int first_kv_head;
  int kv_heads;
  int first;
  int count;
};

class RowBlock {
 public:
  RowBlock(const AttendArgs& args, const RowTask& task, Scratch& scratch)
      : args_(args), task_(task), group_(static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads) {
    for (int i = 0; i < task.kv_heads; ++i)
      blocks_.emplace_back(args, QueryRange{task.sequence, task.first_kv_head + i, task.first, task.count}, scratch);
    for (int i = 0; i < task.kv_heads; ++i) list_rows(i);
    columns_ = static_cast<std::int64_t>(positions_.size());
    scores_ = scratch.floats(task.kv_heads * rows() * columns_).data();
  }

  void answer(TensorView<float, 3> out) {
    each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      const TileScores products = blocks_[head].products(tile);
      for (std::int64_t row = 0; row < rows(); ++row)
        std::copy_n(products.scores + row * kTileRows, tile.rows(), of(head, row) + column);
    });
    each_query([&](QueryScores& query) { args_.row_weighting->mix(query); });
    each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      blocks_[head].edit(tile,
                         {of(head, 0) + column, {group_, task_.count, tile.rows()}, {columns_, group_ * columns_, 1}});
    });
    each_query([&](QueryScores& query) { args_.row_weighting->weigh(query); });
    each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      blocks_[head].add_values(tile, {0, static_cast<int>(rows()), of(head, 0) + column}, columns_);
    });
    for (int head = 0; head < task_.kv_heads; ++head) write(head, out);
  }

 private:
  [[nodiscard]] std::int64_t rows() const { return std::int64_t{task_.count} * group_; }
  // [kv heads, queries, group, columns]
  [[nodiscard]] float* of(int head, std::int64_t row) const { return scores_ + (head * rows() + row) * columns_; }
  [[nodiscard]] int tiles(int head) const { return args_.source.tiles(task_.sequence, task_.first_kv_head + head); }

  // Positions of the rows that some query may see, which have to be the same for all kv heads of the task.
  void list_rows(int head) {
    std::size_t column = 0;
    bool is_same = true;
    for (int index = 0; index < tiles(head); ++index) {
      const KvTile tile = blocks_[head].tile(index);
      if (blocks_[head].is_hidden(tile)) continue;
      if (head == 0)
        positions_.insert(positions_.end(), tile.positions.begin(), tile.positions.end());
      else
        is_same = is_same && column + tile.positions.size() <= positions_.size() &&
                  std::ranges::equal(tile.positions, std::span(positions_).subspan(column, tile.positions.size()));
      column += tile.positions.size();
    }
    if (!is_same || column != positions_.size())
      broken_rule("attend: a weighting of all heads together, over kv heads whose rows differ",
                  "every kv head must hold rows of the same positions in the same order");
  }

  template <class Function>
  void each_tile(const Function& function) {
    for (int head = 0; head < task_.kv_heads; ++head) {
      std::int64_t column = 0;
      for (int index = 0; index < tiles(head); ++index) {
        const KvTile tile = blocks_[head].tile(index);
        if (blocks_[head].is_hidden(tile)) continue;
        function(head, tile, column);
        column += tile.rows();
      }
    }
  }

  template <class Function>
  void each_query(const Function& function) {
    const int first_token = args_.chunk.first(task_.sequence) + task_.first;
    for (int i = 0; i < task_.count; ++i) {
      QueryScores query{.scores = {of(0, std::int64_t{i} * group_),
                                   {task_.kv_heads, group_, columns_},
                                   {rows() * columns_, columns_, 1}},
                        .key_positions = positions_,
                        .query_position = args_.chunk.positions[first_token + i],
                        .first_head = task_.first_kv_head * group_,
                        .sequence = task_.sequence,
                        .token = first_token + i};
      function(query);
    }
  }

  void write(int head, TensorView<float, 3> out) const {
    const BlockResult result = blocks_[head].result();
    const int first_token = args_.chunk.first(task_.sequence) + task_.first;
    for (std::int64_t row = 0; row < rows(); ++row)
      std::copy_n(result.out + row * result.stride, out.extent(2),
                  &out(first_token + row / group_, (task_.first_kv_head + head) * group_ + row % group_, 0));
  }

  const AttendArgs& args_;
  RowTask task_;
  int group_;
  std::deque<QueryBlock> blocks_;    // [kv heads of the task]
  std::vector<Position> positions_;  // [columns]
  std::int64_t columns_ = 0;
  float* scores_ = nullptr;
};

}  // namespace

void attend_rows(const AttendArgs& args, TensorView<float, 3> out) {
  if (QuerySink* queries = args.source.query_sink()) queries->add(args.chunk, args.queries);
  const int kv_heads = args.source.shape().kv_heads;
  const int group = static_cast<int>(args.queries.extent(1)) / kv_heads;
  const int together = args.row_weighting->takes_all_heads() ? kv_heads : 1;
  std::vector<RowTask> tasks;
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence) {
    const int tokens = args.chunk.tokens_of(sequence);
    if (tokens == 0) continue;
    for (int head = 0; head < kv_heads; head += together) {
      const std::int64_t rows = std::int64_t{args.source.tiles(sequence, head)} * kTileRows;
      const auto may = kMostScores / std::max<std::int64_t>(1, rows * together * group);
      const int block = static_cast<int>(std::clamp<std::int64_t>(may, 1, std::max(1, kBlockRows / group)));
      for (int first = 0; first < tokens; first += block)
        tasks.push_back({sequence, head, together, first, std::min(block, tokens - first)});
    }
  }
  parallel_for(static_cast<int>(tasks.size()), [&](int index, WorkerSlot) {
    thread_local Scratch scratch;
    const Scratch::Scope scope(scratch);
    RowBlock(args, tasks[index], scratch).answer(out);
  });
}

}  // namespace attnlab

// One block of queries with the scores of all rows that they may see, for what needs whole rows (attend_rows.h).
#pragma once

#include <algorithm>
#include <deque>
#include <limits>
#include <vector>

#include <attnlab/ops.h>

#include "base/plugin_call.h"
#include "core/attend_mass.h"
#include "core/query_block.h"

namespace attnlab {

inline constexpr std::int64_t kMostScores = std::int64_t{1} << 20;  // that a block holds: 4 MiB

// Queries of one sequence, for one kv head or for all.
struct RowTask {
  int sequence;
  int first_kv_head;
  int kv_heads;
  int first;
  int count;
  int observed = -1;  // index in the mass; -1: none of the queries counts
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

  /// Products of queries and keys.
  void find_products() {
    each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      const TileScores products = blocks_[head].products(tile);
      for (std::int64_t row = 0; row < rows(); ++row)
        std::copy_n(products.scores + row * kTileRows, tile.rows(), of(head, row) + column);
    });
  }
  void mix() {
    if (args_.row_weighting == nullptr) return;
    each_query([&](QueryScores& query) { args_.row_weighting->mix(query); });
  }
  /// What a query does not see is -infinity, where a bias has to know it.
  void hide() {
    if (args_.row_bias == nullptr) return;
    each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      blocks_[head].hide(tile, by_member(scores_, head, column, tile.rows()));
    });
  }
  void add_bias() {
    if (args_.row_bias == nullptr) return;
    each_query([&](QueryScores& query) { args_.row_bias->add(query); });
  }
  /// Hooks and masks; `before` sees what each hook found.
  void edit(const std::function<void(int head, std::int64_t column, std::size_t hook, const ScoreTile&)>* before) {
    each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      const TensorView<float, 3> scores = by_member(scores_, head, column, tile.rows());
      if (before == nullptr) return blocks_[head].edit(tile, scores);
      const QueryBlock::BeforeHook of_tile = [&](std::size_t hook, const ScoreTile& found) {
        (*before)(head, column, hook, found);
      };
      blocks_[head].edit(tile, scores, &of_tile);
    });
  }
  /// log_sum [tokens, heads]: of the softmax, where it is given.
  void weigh(TensorView<float, 2> log_sum) {
    each_query([&](QueryScores& query) {
      if (args_.row_weighting != nullptr) return args_.row_weighting->weigh(query);
      for (std::int64_t kv_head = 0; kv_head < query.scores.extent(0); ++kv_head)
        for (std::int64_t member = 0; member < group_; ++member) {
          const auto head = static_cast<int>(query.first_head + kv_head * group_ + member);
          const float of_head = softmax(query.scores[kv_head].row(member), head);
          if (log_sum.data() != nullptr) log_sum(query.token, head) = of_head;
        }
    });
  }

  void answer(TensorView<float, 3> out, TensorView<float, 2> log_sum, AttendMass& mass) {
    find_products();
    mix();
    hide();
    add_bias();
    edit(nullptr);
    weigh(log_sum);
    each_numbered_tile([&](int head, int index, const KvTile& tile, std::int64_t column) {
      mass.add_weights(task_.observed, index, tile, of(head, 0) + column, columns_);
      blocks_[head].add_values(tile, {0, static_cast<int>(rows()), tile.rows(), of(head, 0) + column}, columns_);
    });
    for (int head = 0; head < task_.kv_heads; ++head) write(head, out);
  }

  [[nodiscard]] std::int64_t columns() const noexcept { return columns_; }
  [[nodiscard]] std::int64_t numbers() const noexcept { return task_.kv_heads * rows() * columns_; }
  [[nodiscard]] float* scores() const noexcept { return scores_; }
  [[nodiscard]] const QueryBlock& block(int head) const noexcept { return blocks_[head]; }
  /// Numbers laid out as the scores are: those of one tile, [group, queries, rows].
  [[nodiscard]] TensorView<float, 3> by_member(float* numbers, int head, std::int64_t column, int tile_rows) const {
    return {numbers + head * this->rows() * columns_ + column,
            {group_, task_.count, tile_rows},
            {columns_, group_ * columns_, 1}};
  }
  /// And those of one query, [kv_heads, group, columns].
  [[nodiscard]] TensorView<float, 3> of_query(float* numbers, int query) const {
    return {numbers + query * group_ * columns_, {task_.kv_heads, group_, columns_}, {rows() * columns_, columns_, 1}};
  }
  [[nodiscard]] std::int64_t rows() const { return std::int64_t{task_.count} * group_; }
  // [kv heads, queries, group, columns]
  [[nodiscard]] float* of(int head, std::int64_t row) const { return scores_ + (head * rows() + row) * columns_; }
  [[nodiscard]] int tiles(int head) const { return args_.source.tiles(task_.sequence, task_.first_kv_head + head); }

  template <class Function>
  void each_tile(const Function& function) {
    each_numbered_tile([&](int head, int, const KvTile& tile, std::int64_t column) { function(head, tile, column); });
  }

  template <class Function>
  void each_numbered_tile(const Function& function) {
    for (int head = 0; head < task_.kv_heads; ++head) {
      std::int64_t column = 0;
      for (int index = 0; index < tiles(head); ++index) {
        const KvTile tile = blocks_[head].tile(index);
        if (blocks_[head].is_hidden(tile)) continue;
        function(head, index, tile, column);
        column += tile.rows();
      }
    }
  }

  template <class Function>
  void each_query(const Function& function) {
    const int first_token = args_.chunk.first(task_.sequence) + task_.first;
    for (int i = 0; i < task_.count; ++i) {
      QueryScores query{
          .scores = of_query(scores_, i),
          .key_positions = positions_,
          .query_position = args_.chunk.positions[first_token + i],
          .first_head = task_.first_kv_head * group_,
          .sequence = task_.sequence,
          .token = first_token + i,
          .queries = queries_of(args_, first_token + i, task_.first_kv_head * group_, task_.kv_heads, group_)};
      function(query);
    }
  }

 private:
  // Scores of one query of a head become weights. Returns the logarithm of their sum.
  float softmax(std::span<float> scores, int head) const {
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    float maximum = lowest;
    for (const float score : scores) maximum = std::max(maximum, score);
    if (maximum == lowest) {
      std::ranges::fill(scores, 0.0F);
      return log_of_sum(lowest, 0, args_.sink_logits, head);
    }
    for (float& score : scores) score -= maximum;
    exponentials(scores);
    double sum = 0;
    for (const float weight : scores) sum += weight;
    const auto of_rows = static_cast<float>(sum);
    const float share = share_of_sum(maximum, of_rows, args_.sink_logits, head);
    for (float& weight : scores) weight *= share;
    return log_of_sum(maximum, of_rows, args_.sink_logits, head);
  }

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

/// kv heads of one task.
inline int heads_together(const AttendArgs& args) {
  return args.row_weighting != nullptr && args.row_weighting->takes_all_heads() ? args.source.shape().kv_heads : 1;
}

/// The blocks of one sequence and kv head, or of all kv heads together.
inline int queries_of_block(const AttendArgs& args, int sequence, int kv_head, int together) {
  const int group = static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads;
  const std::int64_t rows = std::int64_t{args.source.tiles(sequence, kv_head)} * kTileRows;
  const auto may = kMostScores / std::max<std::int64_t>(1, rows * together * group);
  return static_cast<int>(std::clamp<std::int64_t>(may, 1, std::max(1, kBlockRows / group)));
}

}  // namespace attnlab

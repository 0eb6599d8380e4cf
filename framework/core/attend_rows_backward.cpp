// A task owns a sequence with one kv head, or with all where the weighting takes all heads. Blocks of queries follow
// one another, each with the scores of all its rows, computed again.
#include "core/attend_rows_backward.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/attend_work.h"
#include "core/row_block.h"
#include "core/task_gradients.h"
#include "parallel/parallel.h"
#include "tiles/tile_kernels.h"

namespace attnlab {
namespace {

// The scores of a block at one stage, laid out as the block's own.
using Numbers = std::vector<float>;

class RowBlockBackward {
 public:
  RowBlockBackward(const AttendArgs& args, const RowTask& task, TensorView<const float, 2> log_sum,
                   const AttendGradients& gradients, TaskGradients& others, Scratch& scratch)
      : args_(args),
        task_(task),
        log_sum_(log_sum),
        gradients_(gradients),
        others_(others),
        shape_(args.source.shape()),
        group_(static_cast<int>(args.queries.extent(1)) / shape_.kv_heads),
        first_token_(args.chunk.first(task.sequence)),
        first_row_(gradients.rows.chunk.first(task.sequence)),
        block_(args, task, scratch) {}

  void run() {
    block_.find_products();
    const Numbers products = kept();
    block_.mix();
    const bool mixes = !std::equal(products.begin(), products.end(), block_.scores());
    block_.hide();
    Numbers unbiased;
    if (args_.row_bias != nullptr) unbiased = kept();
    block_.add_bias();
    std::vector<Numbers> before(args_.hooks.size());  // what each hook found
    const std::function<void(int, std::int64_t, std::size_t, const ScoreTile&)> keep =
        [&](int head, std::int64_t column, std::size_t hook, const ScoreTile& found) {
          if (args_.hooks[hook]->derivative() != Derivative::own) return;
          before[hook].resize(static_cast<std::size_t>(block_.numbers()));
          copy(found.scores,
               block_.by_member(before[hook].data(), head, column, static_cast<int>(found.scores.extent(2))));
        };
    block_.edit(&keep);
    Numbers scores = kept();
    block_.weigh({});
    const Numbers weights = kept();

    Numbers of_scores(scores.size());
    block_.each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      undo_values(head, tile, column, weights, of_scores);
    });
    if (args_.row_weighting != nullptr)
      each_query(scores, of_scores, [&](const QueryScores& found, TensorView<float, 3> of) {
        args_.row_weighting->weigh_backward(found, of, others_);
      });
    else
      undo_softmax(weights, of_scores);
    for (std::size_t i = 0; i < scores.size(); ++i)
      if (scores[i] == -std::numeric_limits<float>::infinity()) of_scores[i] = 0;
    block_.each_tile(
        [&](int head, const KvTile& tile, std::int64_t column) { undo_hooks(head, tile, column, before, of_scores); });
    if (args_.row_bias != nullptr)
      each_query(unbiased, of_scores, [&](const QueryScores& found, TensorView<float, 3> of) {
        args_.row_bias->backward(found, of, of_queries(found), others_);
      });
    scores = products;
    if (mixes)
      each_query(scores, of_scores, [&](const QueryScores& found, TensorView<float, 3> of) {
        args_.row_weighting->mix_backward(found, of, others_);
      });
    undo_products(of_scores);
  }

 private:
  [[nodiscard]] Numbers kept() const { return {block_.scores(), block_.scores() + block_.numbers()}; }
  static void copy(TensorView<const float, 3> from, TensorView<float, 3> to) {
    for (std::int64_t member = 0; member < from.extent(0); ++member)
      for (std::int64_t query = 0; query < from.extent(1); ++query)
        std::copy_n(&from(member, query, 0), from.extent(2), &to(member, query, 0));
  }
  template <class Function>
  void each_query(Numbers& found, Numbers& of, const Function& function) {
    int query = 0;
    block_.each_query([&](QueryScores& scores) {
      scores.scores = block_.of_query(found.data(), query);
      function(scores, block_.of_query(of.data(), query));
      ++query;
    });
  }
  [[nodiscard]] std::int64_t token_of(std::int64_t row) const { return first_token_ + task_.first + row / group_; }
  [[nodiscard]] std::int64_t head_of(int head, std::int64_t row) const {
    return (task_.first_kv_head + head) * group_ + row % group_;
  }

  // Rows of a tile as floats; keys turned.
  void read(const KvTile& tile, std::vector<float>& keys, std::vector<float>& values) const {
    const int rows = tile.rows();
    keys.resize(static_cast<std::size_t>(rows) * shape_.key_dim);
    values.resize(static_cast<std::size_t>(rows) * shape_.value_dim);
    read_tile(tile, {keys.data(), {rows, shape_.key_dim}}, {values.data(), {rows, shape_.value_dim}});
    if (turns_keys())
      rotate_columns(*args_.rotation, {tile.positions, args_.chunk.lengths[task_.sequence], RotateSide::key}, shape_,
                     {keys.data(), {rows, 1, shape_.key_dim}});
  }
  [[nodiscard]] bool turns_keys() const {
    return args_.rotation != nullptr && args_.source.key_form() == KeyForm::unrotated;
  }

  // Gradients of the weights, and of the values.
  void undo_values(int head, const KvTile& tile, std::int64_t column, const Numbers& weights, Numbers& of_weights) {
    read(tile, keys_, values_);
    for (std::int64_t row = 0; row < block_.rows(); ++row) {
      const float* of_out = &gradients_.out(token_of(row), head_of(head, row), 0);
      const std::int64_t at = (head * block_.rows() + row) * block_.columns() + column;
      for (int i = 0; i < tile.rows(); ++i) {
        of_weights[at + i] = dot_product(of_out, values_.data() + std::int64_t{i} * shape_.value_dim, shape_.value_dim);
        if (weights[at + i] != 0)
          add_scaled(of_out, shape_.value_dim, weights[at + i],
                     &gradients_.rows.values(first_row_ + tile.positions[i], task_.first_kv_head + head, 0));
      }
    }
  }

  // As attend_backward does it: weights (dW - D), D the sum of output times its gradient less that of log_sum.
  void undo_softmax(const Numbers& weights, Numbers& of) {
    for (int kv_head = 0; kv_head < task_.kv_heads; ++kv_head)
      for (std::int64_t row = 0; row < block_.rows(); ++row) {
        const std::int64_t at = (kv_head * block_.rows() + row) * block_.columns();
        const std::int64_t token = token_of(row), head = head_of(kv_head, row);
        double mean = 0;
        for (std::int64_t i = at; i < at + block_.columns(); ++i) mean += static_cast<double>(weights[i]) * of[i];
        if (gradients_.log_sum.data() != nullptr) mean -= gradients_.log_sum(token, head);
        for (std::int64_t i = at; i < at + block_.columns(); ++i)
          of[i] = static_cast<float>(weights[i] * (of[i] - mean));
        if (args_.sink_logits.empty() || std::isinf(log_sum_(token, head))) continue;
        others_.of_parameter(args_.sink_logits)[head] -=
            static_cast<float>(std::exp(args_.sink_logits[head] - log_sum_(token, head)) * mean);
      }
  }

  [[nodiscard]] TensorView<float, 3> of_queries(const QueryScores& query) const {
    const std::int64_t stride = gradients_.queries.stride(1);
    return {&gradients_.queries(query.token, query.first_head, 0),
            {task_.kv_heads, group_, shape_.key_dim},
            {group_ * stride, stride, 1}};
  }

  void undo_hooks(int head, const KvTile& tile, std::int64_t column, std::vector<Numbers>& before, Numbers& of) {
    const int rows = tile.rows();
    const std::int64_t token = first_row_ + tile.positions[0];
    const std::int64_t kv_head = task_.first_kv_head + head;
    for (std::size_t hook = args_.hooks.size(); hook-- > 0;) {
      if (args_.hooks[hook]->derivative() != Derivative::own) continue;
      const ScoreTile found =
          block_.block(head).tile_of(tile, block_.by_member(before[hook].data(), head, column, rows));
      TensorView<float, 2> of_marks{};
      if (shape_.marks > 0)
        of_marks = {
            &gradients_.rows.marks(token, kv_head, 0), {rows, shape_.marks}, {gradients_.rows.marks.stride(0), 1}};
      of_packed_.resize(static_cast<std::size_t>(task_.kv_heads * block_.rows()) * shape_.key_dim);
      args_.hooks[hook]->backward(found, {.scores = block_.by_member(of.data(), head, column, rows),
                                          .key_marks = of_marks,
                                          .queries = {of_packed_.data() + head * block_.rows() * shape_.key_dim,
                                                      {task_.count, group_, shape_.key_dim}},
                                          .others = others_});
    }
  }

  void undo_products(const Numbers& of_scores) {
    of_packed_.resize(static_cast<std::size_t>(task_.kv_heads * block_.rows()) * shape_.key_dim);
    block_.each_tile([&](int head, const KvTile& tile, std::int64_t column) {
      read(tile, keys_, values_);
      of_keys_.assign(keys_.size(), 0.0F);
      const float* packed = block_.block(head).packed().data();
      for (std::int64_t row = 0; row < block_.rows(); ++row) {
        const float* of = of_scores.data() + (head * block_.rows() + row) * block_.columns() + column;
        float* const of_query = of_packed_.data() + (head * block_.rows() + row) * shape_.key_dim;
        for (int i = 0; i < tile.rows(); ++i) {
          const std::int64_t key = std::int64_t{i} * shape_.key_dim;
          add_scaled(keys_.data() + key, shape_.key_dim, of[i], of_query);
          add_scaled(packed + row * shape_.key_dim, shape_.key_dim, of[i], of_keys_.data() + key);
        }
      }
      if (turns_keys())
        rotate_columns_back(*args_.rotation, {tile.positions, args_.chunk.lengths[task_.sequence], RotateSide::key},
                            shape_, {of_keys_.data(), {tile.rows(), 1, shape_.key_dim}});
      for (int i = 0; i < tile.rows(); ++i)
        add_scaled(of_keys_.data() + std::int64_t{i} * shape_.key_dim, shape_.key_dim, 1,
                   &gradients_.rows.keys(first_row_ + tile.positions[i], task_.first_kv_head + head, 0));
    });
    for (int head = 0; head < task_.kv_heads; ++head) {
      float* const of = of_packed_.data() + head * block_.rows() * shape_.key_dim;
      if (args_.rotation != nullptr)
        rotate_columns_back(*args_.rotation,
                            {block_.block(head).positions(), args_.chunk.lengths[task_.sequence], RotateSide::query},
                            shape_, {of, {task_.count, group_, shape_.key_dim}});
      for (std::int64_t row = 0; row < block_.rows(); ++row)
        add_scaled(of + row * shape_.key_dim, shape_.key_dim, args_.scale,
                   &gradients_.queries(token_of(row), head_of(head, row), 0));
    }
  }

  const AttendArgs& args_;
  RowTask task_;
  TensorView<const float, 2> log_sum_;  // [tokens, heads], of a softmax
  const AttendGradients& gradients_;
  TaskGradients& others_;
  KvShape shape_;
  int group_;
  int first_token_;
  int first_row_;
  RowBlock block_;
  std::vector<float> keys_, values_, of_keys_;  // of a tile
  std::vector<float> of_packed_;                // [kv_heads, rows, key_dim]
};

}  // namespace

void attend_rows_backward(const AttendArgs& args, TensorView<const float, 2> log_sum,
                          const AttendGradients& gradients) {
  const int kv_heads = args.source.shape().kv_heads;
  const int together = heads_together(args);
  const int of_sequence = kv_heads / together;
  const int tasks = args.chunk.sequences() * of_sequence;
  std::vector<TaskGradients> others(static_cast<std::size_t>(tasks), TaskGradients(gradients.others));
  parallel_for(tasks, attend_backward_work(args), [&](int task, WorkerSlot) {
    const int sequence = task / of_sequence;
    const int head = task % of_sequence * together;
    const int tokens = args.chunk.tokens_of(sequence);
    const int block = queries_of_block(args, sequence, head, together);
    for (int first = 0; first < tokens; first += block) {
      thread_local Scratch scratch;
      const Scratch::Scope scope(scratch);
      RowBlockBackward(args, {sequence, head, together, first, std::min(block, tokens - first)}, log_sum, gradients,
                       others[task], scratch)
          .run();
    }
  });
  for (TaskGradients& task : others) task.add_to_common();
}

}  // namespace attnlab

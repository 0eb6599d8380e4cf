// The checking steps in which cached rows and positions take part: rotation, append, attend.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <typeinfo>

#include <fmt/format.h>

#include "steps/checking_steps.h"

namespace attnlab {
namespace {

// The slow form computes each score once to mix it and once to weigh it, and once more where a bias has to know masks.
constexpr double kScoresOfWholeRow = 2;

// Numbers of a row: key, value, marks.
std::size_t row_numbers(const KvShape& shape) {
  return static_cast<std::size_t>(shape.key_dim) + shape.value_dim + shape.marks;
}

// One row at one position: the columns that the shape names, block by block.
void rotate_alone(const Rotation& rotation, const RotateArgs& args, const KvShape& shape, std::span<float> row) {
  const int width = shape.rotation_width();
  std::vector<float> block(width);
  for (int repeat = 0; repeat < shape.rotated_repeats; ++repeat) {
    const auto columns = row.subspan(shape.rotated_first + static_cast<std::size_t>(repeat) * width, width);
    std::copy(columns.begin(), columns.end(), block.begin());
    rotation.rotate(args, {block.data(), {1, 1, width}});
    std::copy(block.begin(), block.end(), columns.begin());
  }
}

// Key j is seen by query i where i - window < j <= i: the definition of the SDK's causal mask, which is asked for its
// window and for nothing that it does.
class SlowCausal final : public MaskRule {
 public:
  explicit SlowCausal(Position window) : window_(window) {}
  Cover cover(const MaskPlace&) const noexcept override { return Cover::partial; }
  void mask(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::size_t row = 0; row < tile.key_positions.size(); ++row) {
          const Position distance = tile.query_positions[query] - tile.key_positions[row];
          if (distance < 0 || (window_ > 0 && distance >= window_))
            tile.scores(member, query, row) = -std::numeric_limits<float>::infinity();
        }
  }

 private:
  Position window_;
};

// How many scores are computed for one row that a query sees, a mixture of heads in multiply-adds of a score.
double slow_scores(const AttendArgs& args) {
  const double of_whole_row = kScoresOfWholeRow + (args.row_bias != nullptr ? 1 : 0);
  if (args.row_weighting == nullptr) return args.row_bias != nullptr ? of_whole_row : 1;
  const KvShape shape = args.source.shape();
  const auto heads = static_cast<int>(args.queries.extent(1));
  const int together = args.row_weighting->takes_all_heads() ? heads : heads / shape.kv_heads;
  return together * (of_whole_row + args.row_weighting->multiply_adds(together) / shape.key_dim);
}

}  // namespace

// Rows of one sequence, one row a tile: as they were appended, or as a storage rounded them; those of a source of the
// variant's own as it gives them.
class CheckingSteps::HeldRows final : public KvSource {
 public:
  HeldRows(const KvSource& source, int sequence)
      : source_(source), shape_(source.shape()), sequence_(sequence), lists_(shape_.kv_heads) {}

  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return KeyForm::rotated; }
  int tiles(int sequence, int kv_head) const noexcept override {
    return sequence == sequence_ ? static_cast<int>(lists_[kv_head].seen.size()) : 0;
  }
  KvTile tile(int, int kv_head, int index, TileScratch&) const noexcept override {
    const List& list = lists_[kv_head];
    const Row& row = list.rows[list.seen[index]];
    const float* numbers = list.numbers.data() + list.seen[index] * row_numbers(shape_);
    return {.keys = {numbers, {1, shape_.key_dim}},
            .values = {numbers + shape_.key_dim, {1, shape_.value_dim}},
            .positions = {&row.position, 1},
            .marks = {numbers + shape_.key_dim + shape_.value_dim, {1, shape_.marks}},
            .range = {row.position, row.position},
            .query_cap = row.cap};
  }
  const MaskRule* visibility(int sequence) const noexcept override { return source_.visibility(sequence); }

  struct Row {
    Position position;
    Position cap;
    int tile;  // of the source
  };
  // value [value_dim + marks]
  void add(int kv_head, const Row& row, std::span<const float> key, std::span<const float> value) {
    List& list = lists_[kv_head];
    list.seen.push_back(list.rows.size());
    list.rows.push_back(row);
    list.numbers.insert(list.numbers.end(), key.begin(), key.end());
    list.numbers.insert(list.numbers.end(), value.begin(), value.end());
  }
  [[nodiscard]] double largest_value(int kv_head) const {
    const List& list = lists_[kv_head];
    float largest = 0;
    for (std::size_t row = 0; row < list.rows.size(); ++row) {
      const float* values = list.numbers.data() + row * row_numbers(shape_) + shape_.key_dim;
      for (int i = 0; i < shape_.value_dim; ++i)
        if (std::isfinite(values[i])) largest = std::max(largest, std::abs(values[i]));
    }
    return largest;
  }
  /// Only the rows of these tiles of the source, from now on.
  void see(int kv_head, std::span<const std::uint8_t> reads) {
    List& list = lists_[kv_head];
    list.seen.clear();
    for (std::size_t row = 0; row < list.rows.size(); ++row)
      if (reads[list.rows[row].tile] != 0) list.seen.push_back(row);
  }

 private:
  struct List {  // of a kv head
    std::vector<Row> rows;
    std::vector<std::size_t> seen;
    std::vector<float> numbers;  // [rows, key_dim + value_dim + marks]
  };
  const KvSource& source_;
  KvShape shape_;
  int sequence_;
  std::vector<List> lists_;  // [kv_heads]
};

int CheckingSteps::sequence_of(const ChunkView& chunk, std::int64_t token) {
  int sequence = 0;
  while (token >= chunk.offsets[sequence + 1]) ++sequence;
  return sequence;
}

void CheckingSteps::check_rotated(const char* step, RotateSide side, TensorView<const float, 3> rows,
                                  const Tokens& tokens, std::vector<float> before) {
  const Rotation* rotation = layer().position.rotation();
  KvShape shape = row_shape();
  if (shape.kv_heads == 0) shape.key_dim = static_cast<int>(rows.extent(2));
  CallComparison comparison;
  std::span<float> right = before;
  for (const std::int64_t token : tokens) {
    const Position position = layer().chunk.positions[token];
    const Position length = layer().chunk.lengths[sequence_of(layer().chunk, token)];
    for (std::int64_t head = 0; head < rows.extent(1); ++head) {
      const std::span<float> row = right.first(rows.extent(2));
      right = right.subspan(row.size());
      if (rotation != nullptr) rotate_alone(*rotation, {{&position, 1}, length, side}, shape, row);
      for (std::size_t i = 0; i < row.size(); ++i) comparison.compare(rows(token, head, i), row[i], token, head);
    }
  }
  take(step, comparison, rotation == nullptr ? std::set<std::string>{} : std::set<std::string>{"rotation"});
}

void CheckingSteps::rotate(RotateSide side, TensorView<float, 3> rows) {
  const Tokens tokens = chosen_tokens(rows.extent(0));
  std::vector<float> before = copied(rows, tokens);
  ThroughSteps::rotate(side, rows);
  check_rotated("rotate", side, rows, tokens, std::move(before));
}

template <class Row>
void CheckingSteps::each_appended(const Row& row) {
  const ChunkView& chunk = layer().chunk;
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
    for (int head = 0; head < row_shape().kv_heads; ++head) {
      RowRecord::List& list = record_.at(layer().cache, sequence, head);
      for (int token = chunk.first(sequence); token < chunk.offsets[sequence + 1]; ++token)
        row(list, sequence, token, head);
    }
}

void CheckingSteps::append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) {
  const bool turns = layer().cache.key_form() == KeyForm::rotated && layer().position.rotation() != nullptr;
  const Tokens tokens = chosen_tokens(keys.extent(0));
  std::vector<float> before = copied(keys, tokens);
  std::vector<float> key(row_shape().key_dim), value(row_shape().value_dim + row_shape().marks);
  each_appended([&](RowRecord::List& list, int sequence, int token, int head) {
    const Position position = layer().chunk.positions[token];
    record_.begin_row(list, history(sequence), position, static_cast<int>(row_numbers(row_shape())));
    if (!record_.remembers(position)) return;
    for (int i = 0; i < row_shape().key_dim; ++i) key[i] = keys(token, head, i);
    for (int i = 0; i < row_shape().value_dim; ++i) value[i] = values(token, head, i);
    const RotateArgs at{{&position, 1}, layer().chunk.lengths[sequence], RotateSide::key};
    if (turns) rotate_alone(*layer().position.rotation(), at, row_shape(), key);
    if (row_shape().value_is_key_prefix) std::copy_n(key.begin(), row_shape().value_dim, value.begin());
    const std::size_t of_row = static_cast<std::size_t>(token) * row_shape().kv_heads + head;
    std::ranges::copy(marks.subspan(of_row * row_shape().marks, row_shape().marks),
                      value.begin() + row_shape().value_dim);
    record_.set(list, position, key, value);
  });
  ThroughSteps::append(keys, values, marks);
  if (turns) check_rotated("append", RotateSide::key, keys, tokens, std::move(before));
  if (row_step_(layer_number()) == 0) return;
  each_appended([&](RowRecord::List& list, int, int token, int head) {  // what is rounded, and how large
    for (int i = 0; i < row_shape().key_dim; ++i) RowRecord::include(keys(token, head, i), list.largest_key);
    for (int i = 0; i < row_shape().value_dim; ++i) RowRecord::include(values(token, head, i), list.largest_value);
  });
}

void CheckingSteps::gather(const AttendArgs& args, bool is_of_layer, int sequence, int kv_head, HeldRows& held) {
  const KvShape shape = args.source.shape();
  const RowRecord::List* list = is_of_layer ? &record_.at(layer().cache, sequence, kv_head) : nullptr;
  const bool turns = args.rotation != nullptr && args.source.key_form() == KeyForm::unrotated;
  std::vector<bool> is_there(list != nullptr ? static_cast<std::size_t>(list->length) : 0);
  std::vector<float> key(shape.key_dim), value(shape.value_dim + shape.marks);
  int index = args.source.tiles(sequence, kv_head);
  for_each_tile(args.source, sequence, kv_head, [&](const KvTile& tile) {
    --index;
    for (int row = 0; row < tile.rows(); ++row) {
      const Position position = tile.positions[row];
      for (int i = 0; i < shape.key_dim; ++i) key[i] = tile.keys(row, i);
      for (int i = 0; i < shape.value_dim; ++i) value[i] = tile.values(row, i);
      for (int i = 0; i < shape.marks; ++i) value[shape.value_dim + i] = tile.marks(row, i);
      if (list != nullptr)
        if (const char* wrong =
                row_fault(*list, position, {key, value, static_cast<std::size_t>(shape.marks)}, is_there)) {
          fault("rows", -1, kv_head,
                fmt::format("the row at position {} of sequence {} {}", position, sequence, wrong));
          continue;
        }
      if (turns)
        rotate_alone(*args.rotation, {{&position, 1}, args.chunk.lengths[sequence], RotateSide::key}, shape, key);
      held.add(kv_head, {position, tile.query_cap, index}, key, value);
    }
    return true;
  });
}

const char* CheckingSteps::row_fault(const RowRecord::List& list, Position position, const FoundRow& found,
                                     std::vector<bool>& is_there) {
  if (position < 0 || position >= list.length) return "was never appended";
  if (is_there[position]) return "is there twice";
  is_there[position] = true;
  const std::span<const float> given = record_.row(list, position);
  const double step = row_step_(layer_number());
  // A step is a share of the largest number, which is not known where some rows were not seen.
  if (given.empty() || std::isinf(step) || (step > 0 && list.unseen > 0)) return nullptr;
  independent_steps_.insert("rows");
  const auto is_off = [&](std::span<const float> is, std::span<const float> right, double largest) {
    for (std::size_t i = 0; i < is.size(); ++i)
      if (is[i] != right[i] && std::isfinite(right[i]) && !(std::abs(double{is[i]} - right[i]) <= step * largest))
        return true;
    return false;
  };
  const std::span<const float> values = given.subspan(found.key.size());
  const std::size_t width = values.size() - found.marks;
  if (is_off(found.key, given.first(found.key.size()), list.largest_key)) return "has another key than was appended";
  if (is_off(found.value.first(width), values.first(width), list.largest_value))
    return "has another value than was appended";
  if (!std::ranges::equal(found.value.subspan(width), values.subspan(width)))
    return "has other marks than were appended";
  return nullptr;
}

namespace {

bool has_rows(const AttendArgs& args) {
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence)
    for (int head = 0; head < args.source.shape().kv_heads; ++head)
      if (args.source.tiles(sequence, head) > 0) return true;
  return false;
}

}  // namespace

std::set<std::string> CheckingSteps::formulas_of(const AttendArgs& args, bool is_of_layer) const {
  std::set<std::string> formulas;
  if (args.rotation != nullptr) formulas.insert("rotation");
  if (layer().position.score_bias() != nullptr || args.row_bias != nullptr) formulas.insert("position bias");
  if (args.hooks.size() > (layer().position.score_bias() != nullptr ? 1U : 0U)) formulas.insert("score hooks");
  if (typeid(args.mask) != typeid(CausalMask)) formulas.insert("mask");
  if (args.weighting != nullptr || args.row_weighting != nullptr) formulas.insert("weighting");
  if (args.source.selector() != nullptr) formulas.insert("selection of rows");
  if (!is_of_layer && has_rows(args)) formulas.insert("rows of its own making");
  if (is_of_layer && std::isinf(row_step_(layer_number()))) formulas.insert("rows that the policy replaces");
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence)
    if (args.source.visibility(sequence) != nullptr) formulas.insert("visibility");
  return formulas;
}

std::vector<QueryOfHead> CheckingSteps::chosen_queries(const AttendArgs& args, int sequence) const {
  const int heads = static_cast<int>(args.queries.extent(1));
  const int all = args.chunk.tokens_of(sequence) * heads;
  int tiles = 1;
  for (int head = 0; head < args.source.shape().kv_heads; ++head)
    tiles = std::max(tiles, args.source.tiles(sequence, head));
  const double may =
      limits_.scores / args.chunk.sequences() / (static_cast<double>(tiles) * kTileRows) / slow_scores(args);
  const int count = static_cast<int>(std::clamp<double>(may, 1, all));
  // From the newest token and another head in every call, in equal steps back through all tokens and heads.
  const int first = all - 1 - attend_calls_ % heads;
  std::vector<QueryOfHead> queries;
  for (int i = 0; i < count; ++i) {
    const int at = static_cast<int>((first - static_cast<std::int64_t>(i) * all / count + all) % all);
    queries.push_back({args.chunk.first(sequence) + at / heads, at % heads});
  }
  return queries;
}

void CheckingSteps::check_queries(Attended& call, const HeldRows& rows, std::span<const QueryOfHead> queries) {
  const AttendArgs& args = call.args;
  const auto* causal = typeid(args.mask) == typeid(CausalMask) ? static_cast<const CausalMask*>(&args.mask) : nullptr;
  const SlowCausal slow(causal != nullptr ? causal->window() : 0);
  const AttendArgs again{.queries = args.queries,
                         .chunk = args.chunk,
                         .source = rows,
                         .scale = args.scale,
                         .rotation = args.rotation,
                         .row_bias = args.row_bias,
                         .hooks = args.hooks,
                         .mask = causal != nullptr ? static_cast<const MaskRule&>(slow) : args.mask,
                         .sink_logits = args.sink_logits,
                         .weighting = args.weighting,
                         .row_weighting = args.row_weighting,
                         .compute = args.compute};
  const bool with_log_sum = call.log_sum.data() != nullptr;
  std::vector<double> log_sums(with_log_sum ? queries.size() : 0);
  const std::vector<double> right = attend_reference(again, queries, log_sums);
  const double* number = right.data();
  // The slow form rounds what it multiplies but the weights, which are rounded as they are before the sum is known:
  // that moves an output by no more than a unit of bfloat16 of the largest value.
  const int group = static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads;
  const bool is_bf16 =
      !queries.empty() && multiplied_in(args, sequence_of(args.chunk, queries[0].token)) == Arithmetic::bf16;
  const double rounding = is_bf16 ? 0x1p-8 * rows.largest_value(queries[0].head / group) : 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const auto [token, head] = queries[i];
    for (std::int64_t j = 0; j < call.out.extent(2); ++j) {
      const double found = call.out(token, head, j), expected = *number++;
      const bool is_near = std::abs(found - expected) <= rounding;
      call.of_out.compare(is_near ? expected : found, expected, token, head);
    }
    if (with_log_sum) call.of_log_sum.compare(call.log_sum(token, head), log_sums[i], token, head);
  }
}

void CheckingSteps::attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) {
  ThroughSteps::attend(step, out, log_sum);
  const AttendArgs args = args_of(step);
  const bool is_of_layer = &args.source == &layer().cache;
  const int group = static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads;
  Attended call{.args = args, .out = out, .log_sum = log_sum};
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence) {
    if (args.chunk.tokens_of(sequence) == 0) continue;
    std::map<int, std::vector<QueryOfHead>> of_kv_head;
    for (const QueryOfHead& query : chosen_queries(args, sequence)) of_kv_head[query.head / group].push_back(query);
    const TileSelector* selector = args.source.selector();
    const bool selects = selector != nullptr && selector->selects(args.chunk, sequence);
    const bool is_together = args.row_weighting != nullptr && args.row_weighting->takes_all_heads();
    for (const auto& [kv_head, queries] : of_kv_head) {
      HeldRows rows(args.source, sequence);
      for (int head = 0; head < args.source.shape().kv_heads; ++head)
        if (is_together || head == kv_head) gather(args, is_of_layer, sequence, head, rows);
      if (!selects) {
        check_queries(call, rows, queries);
        continue;
      }
      for (const QueryOfHead& query : queries) {
        rows.see(kv_head, selected(args, sequence, query));
        check_queries(call, rows, {&query, 1});
      }
    }
  }
  const std::set<std::string> formulas = formulas_of(args, is_of_layer);
  take("attend", call.of_out, formulas);
  take("log_sum of attend", call.of_log_sum, formulas);
  ++attend_calls_;
}

std::vector<std::uint8_t> CheckingSteps::selected(const AttendArgs& args, int sequence, QueryOfHead of) {
  const KvShape shape = args.source.shape();
  const int group = static_cast<int>(args.queries.extent(1)) / shape.kv_heads;
  const int kv_head = of.head / group;
  const std::span<const Position> position = args.chunk.positions.subspan(of.token, 1);
  std::vector<float> queries;  // [1, group, key_dim], as the keys are stored
  for (int member = 0; member < group; ++member) {
    std::vector<float> query(shape.key_dim);
    for (int i = 0; i < shape.key_dim; ++i) query[i] = args.queries(of.token, kv_head * group + member, i);
    if (args.rotation != nullptr)
      rotate_alone(*args.rotation, {position, args.chunk.lengths[sequence], RotateSide::query}, shape, query);
    queries.insert(queries.end(), query.begin(), query.end());
  }
  const int tiles = args.source.tiles(sequence, kv_head);
  std::vector<std::uint8_t> reads(static_cast<std::size_t>(group) * tiles);
  args.source.selector()->select(
      {.sequence = sequence, .kv_head = kv_head, .first_token = of.token, .positions = position},
      {queries.data(), {1, group, shape.key_dim}}, {reads.data(), {1, group, tiles}});
  return {reads.begin() + of.head % group * tiles, reads.begin() + (of.head % group + 1) * tiles};
}

}  // namespace attnlab

#include "core/attend_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "base/convert.h"

namespace attnlab {
namespace {

// All rows of one (sequence, kv head), as the queries meet them.
struct Rows {
  std::vector<float> keys;    // [rows, key_dim], rotated
  std::vector<float> values;  // [rows, value_dim]
  std::vector<Position> positions;
  std::vector<Position> caps;
  std::vector<float> marks;  // [rows, KvShape::marks]
};

Rows read_rows(const AttendArgs& args, int sequence, int kv_head) {
  const KvShape shape = args.source.shape();
  Rows all;
  for_each_tile(args.source, sequence, kv_head, [&](const KvTile& tile) {
    for (int row = 0; row < tile.rows(); ++row) {
      for (int i = 0; i < shape.key_dim; ++i) all.keys.push_back(tile.keys(row, i));
      for (int i = 0; i < shape.value_dim; ++i) all.values.push_back(tile.values(row, i));
      all.positions.push_back(tile.positions[row]);
      all.caps.push_back(tile.query_cap);
      for (int i = 0; i < shape.marks; ++i) all.marks.push_back(tile.marks(row, i));
    }
    return true;
  });
  if (args.rotation != nullptr && args.source.key_form() == KeyForm::unrotated && !all.positions.empty())
    rotate_columns(*args.rotation, {all.positions, args.chunk.lengths[sequence], RotateSide::key}, shape,
                   {all.keys.data(), {static_cast<std::int64_t>(all.positions.size()), 1, shape.key_dim}});
  if (multiplied_in(args, sequence) == Arithmetic::bf16)
    for (std::vector<float>* numbers : {&all.keys, &all.values})
      for (float& number : *numbers) number = from_bf16(to_bf16(number));
  return all;
}

// A query as it meets rows whose positions are no later than a cap, which for most of them is the query's own.
class Query {
 public:
  Query(const AttendArgs& args, int sequence, QueryOfHead of) : args_(args), sequence_(sequence), of_(of) {}

  // [key_dim] as of `position`, rotated.
  const std::vector<float>& at(Position position) {
    if (position == position_) return values_;
    position_ = position;
    values_.resize(args_.source.shape().key_dim);
    // Rounded numbers are scaled before they are rotated, as the core does it: the last bits decide how they are
    // rounded.
    const float factor = multiplied_in(args_, sequence_) == Arithmetic::bf16 ? args_.scale : 1;
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = args_.queries(of_.token, of_.head, i) * factor;
    if (args_.rotation != nullptr)
      rotate_columns(*args_.rotation, {{&position, 1}, args_.chunk.lengths[sequence_], RotateSide::query},
                     args_.source.shape(), {values_.data(), {1, 1, static_cast<std::int64_t>(values_.size())}});
    return values_;
  }

 private:
  const AttendArgs& args_;
  int sequence_;
  QueryOfHead of_;
  Position position_ = -1;
  std::vector<float> values_;
};

// A score of one query head and one row as hooks and masks see it.
class OneScore {
 public:
  OneScore(const AttendArgs& args, int sequence, QueryOfHead of, Query& query, const Rows& rows, std::size_t row)
      : args_(args),
        group_(static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads),
        position_(std::min(args.chunk.positions[of.token], rows.caps[row])),
        key_position_(rows.positions[row]),
        scaled_(query.at(position_)) {
    const auto key_dim = static_cast<std::int64_t>(scaled_.size());
    double sum = 0;
    if (multiplied_in(args, sequence) == Arithmetic::bf16) {
      for (std::int64_t i = 0; i < key_dim; ++i)
        sum += static_cast<double>(from_bf16(to_bf16(scaled_[i]))) * rows.keys[row * key_dim + i];
      score_ = static_cast<float>(sum);
    } else {
      for (std::int64_t i = 0; i < key_dim; ++i) sum += static_cast<double>(scaled_[i]) * rows.keys[row * key_dim + i];
      score_ = static_cast<float>(sum * args.scale);
      for (float& channel : scaled_) channel *= args.scale;
    }
    tile_ = {.scores = {&score_, {1, 1, 1}},
             .query_positions = {&position_, 1},
             .key_positions = {&key_position_, 1},
             .first_head = of.head,
             .sequence = sequence,
             .first_token = of.token,
             .key_marks = {rows.marks.data() + row * args.source.shape().marks, {1, args.source.shape().marks}},
             .queries = {scaled_.data(), {1, 1, key_dim}}};
  }
  OneScore(const OneScore&) = delete;
  OneScore& operator=(const OneScore&) = delete;

  [[nodiscard]] double raw() const noexcept { return score_; }
  /// After hooks and masks, -infinity where it is not seen.
  double edited(double score) {
    score_ = static_cast<float>(score);
    for (const ScoreHook* hook : args_.hooks) hook->apply(tile_);
    return hidden(score_);
  }
  /// After masks alone.
  double hidden(double score) {
    score_ = static_cast<float>(score);
    const MaskPlace where{.queries = {position_, position_},
                          .keys = {key_position_, key_position_},
                          .sequence = tile_.sequence,
                          .first_token = tile_.first_token,
                          .kv_head = tile_.first_head / group_,
                          .first_head = tile_.first_head};
    for (const MaskRule* mask : {&args_.mask, args_.source.visibility(tile_.sequence)}) {
      if (mask == nullptr) continue;
      const MaskRule::Cover cover = mask->cover(where);
      if (cover == MaskRule::Cover::none) score_ = -std::numeric_limits<float>::infinity();
      if (cover == MaskRule::Cover::partial) mask->mask(tile_);
    }
    return score_;
  }

 private:
  const AttendArgs& args_;
  int group_;
  Position position_, key_position_;
  std::vector<float> scaled_;  // [key_dim] the query
  float score_ = 0;
  ScoreTile tile_;
};

double score(const AttendArgs& args, int sequence, QueryOfHead of, Query& query, const Rows& rows, std::size_t row) {
  OneScore one(args, sequence, of, query, rows, row);
  return one.edited(one.raw());
}

// Neighbouring query heads that are looked at together; rows [kv_heads] are those that they see.
struct HeadsOfRow {
  int first_head;
  std::int64_t kv_heads;
  std::int64_t group;
};

// All scores [kv_heads, group, rows] of one token, after hooks and masks.
class WholeRow {
 public:
  WholeRow(const AttendArgs& args, int sequence, int token, const HeadsOfRow& heads, std::span<const Rows> rows)
      : args_(args), sequence_(sequence), token_(token), heads_(heads), rows_(rows) {
    each([&](OneScore& one, std::size_t) { scores_.push_back(static_cast<float>(one.raw())); });
    if (args.row_weighting != nullptr) look([&](QueryScores& all) { args.row_weighting->mix(all); });
    if (args.row_bias != nullptr) {
      each([&](OneScore& one, std::size_t at) { scores_[at] = static_cast<float>(one.hidden(scores_[at])); });
      look([&](QueryScores& all) { args.row_bias->add(all); });
    }
    each([&](OneScore& one, std::size_t at) { scores_[at] = static_cast<float>(one.edited(scores_[at])); });
  }

  void weigh() {
    look([&](QueryScores& all) { args_.row_weighting->weigh(all); });
  }
  /// [rows]
  [[nodiscard]] std::vector<double> of_head(int head) const {
    const auto first = scores_.begin() + (head - heads_.first_head) * count();
    return {first, first + count()};
  }

 private:
  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(rows_.front().positions.size()); }
  template <class Function>
  void each(const Function& function) {
    for (std::int64_t head = 0; head < heads_.kv_heads * heads_.group; ++head) {
      const QueryOfHead of_head{token_, heads_.first_head + static_cast<int>(head)};
      Query query(args_, sequence_, of_head);
      for (std::int64_t row = 0; row < count(); ++row) {
        OneScore one(args_, sequence_, of_head, query, rows_[head / heads_.group], row);
        function(one, static_cast<std::size_t>(head * count() + row));
      }
    }
  }
  template <class Function>
  void look(const Function& function) {
    QueryScores all{.scores = {scores_.data(), {heads_.kv_heads, heads_.group, count()}},
                    .key_positions = rows_.front().positions,
                    .query_position = args_.chunk.positions[token_],
                    .first_head = heads_.first_head,
                    .sequence = sequence_,
                    .token = token_,
                    .queries = queries_of(args_, token_, heads_.first_head, heads_.kv_heads, heads_.group)};
    function(all);
  }

  const AttendArgs& args_;
  int sequence_;
  int token_;
  HeadsOfRow heads_;
  std::span<const Rows> rows_;
  std::vector<float> scores_;
};

// One query's values by the weights of the weighting, asked for one score at a time.
void add_weighed(const AttendArgs& args, int sequence, QueryOfHead of, std::span<const double> scores, const Rows& rows,
                 double* to) {
  const int value_dim = args.source.shape().value_dim;
  const auto seen = static_cast<int>(
      std::ranges::count_if(scores, [](double score) { return score != -std::numeric_limits<double>::infinity(); }));
  for (std::size_t row = 0; row < scores.size(); ++row) {
    const Position position = std::min(args.chunk.positions[of.token], rows.caps[row]);
    auto weight = static_cast<float>(scores[row]);
    ScoreTile one{.scores = {&weight, {1, 1, 1}},
                  .query_positions = {&position, 1},
                  .key_positions = {&rows.positions[row], 1},
                  .first_head = of.head,
                  .sequence = sequence,
                  .first_token = of.token};
    args.weighting->weigh(one, {&seen, 1});
    for (int j = 0; j < value_dim; ++j) to[j] += static_cast<double>(weight) * rows.values[row * value_dim + j];
  }
}

// By the weights of a row weighting; to [value_dim], zeros beforehand.
void answer_by_row(const AttendArgs& args, int sequence, QueryOfHead of, double* to) {
  const KvShape shape = args.source.shape();
  const int own = of.head / (static_cast<int>(args.queries.extent(1)) / shape.kv_heads);
  const bool together = args.row_weighting->takes_all_heads();
  std::vector<Rows> rows;
  for (int head = 0; head < shape.kv_heads; ++head)
    if (together || head == own) rows.push_back(read_rows(args, sequence, head));
  const int group = static_cast<int>(args.queries.extent(1)) / shape.kv_heads;
  const int first = together ? 0 : own;
  WholeRow all(args, sequence, of.token, {first * group, static_cast<std::int64_t>(rows.size()), group}, rows);
  all.weigh();
  const std::vector<double> weights = all.of_head(of.head);
  for (std::size_t row = 0; row < weights.size(); ++row)
    for (int j = 0; j < shape.value_dim; ++j)
      to[j] += weights[row] * rows[own - first].values[row * shape.value_dim + j];
}

// to [value_dim], zeros beforehand. Returns the logarithm of the sum of exp(score); 0 with a weighting.
double answer(const AttendArgs& args, int sequence, QueryOfHead of, const Rows& rows, double* to) {
  const int value_dim = args.source.shape().value_dim;
  Query query(args, sequence, of);
  std::vector<double> scores;
  if (args.row_bias != nullptr)
    scores = WholeRow(args, sequence, of.token, {of.head, 1, 1}, {&rows, 1}).of_head(of.head);
  else
    for (std::size_t row = 0; row < rows.positions.size(); ++row)
      scores.push_back(score(args, sequence, of, query, rows, row));
  if (args.weighting != nullptr) {
    add_weighed(args, sequence, of, scores, rows, to);
    return 0;
  }
  double largest = args.sink_logits.empty() ? -std::numeric_limits<double>::infinity() : args.sink_logits[of.head];
  for (const double each : scores) largest = std::isnan(each) ? each : std::max(largest, each);
  if (std::isinf(largest)) return largest;  // sees nothing: zeros
  double sum = args.sink_logits.empty() ? 0 : std::exp(args.sink_logits[of.head] - largest);
  for (const double each : scores) sum += std::exp(each - largest);
  for (std::size_t row = 0; row < scores.size(); ++row)
    for (int j = 0; j < value_dim; ++j)
      to[j] += std::exp(scores[row] - largest) / sum * rows.values[row * value_dim + j];
  return largest + std::log(sum);
}

int sequence_of(const ChunkView& chunk, int token) {
  int sequence = 0;
  while (token >= chunk.first(sequence) + chunk.tokens_of(sequence)) ++sequence;
  return sequence;
}

}  // namespace

std::vector<double> attend_reference(const AttendArgs& args, std::span<const QueryOfHead> queries,
                                     std::span<double> log_sums) {
  const KvShape shape = args.source.shape();
  const int group = static_cast<int>(args.queries.extent(1)) / shape.kv_heads;
  std::vector<double> out(queries.size() * shape.value_dim);
  // Rows are read once for all queries of a sequence and kv head.
  std::map<std::pair<int, int>, std::vector<std::size_t>> of_rows;
  for (std::size_t i = 0; i < queries.size(); ++i)
    of_rows[{sequence_of(args.chunk, queries[i].token), queries[i].head / group}].push_back(i);
  for (const auto& [place, asked] : of_rows) {
    if (args.row_weighting != nullptr) {
      for (const std::size_t i : asked) answer_by_row(args, place.first, queries[i], out.data() + i * shape.value_dim);
      continue;
    }
    const Rows rows = read_rows(args, place.first, place.second);
    for (const std::size_t i : asked) {
      const double log_sum = answer(args, place.first, queries[i], rows, out.data() + i * shape.value_dim);
      if (!log_sums.empty()) log_sums[i] = log_sum;
    }
  }
  return out;
}

std::vector<Position> seen_positions(const AttendArgs& args, QueryOfHead query) {
  const int sequence = sequence_of(args.chunk, query.token);
  const int group = static_cast<int>(args.queries.extent(1)) / args.source.shape().kv_heads;
  const Rows rows = read_rows(args, sequence, query.head / group);
  Query asked(args, sequence, query);
  std::vector<Position> seen;
  for (std::size_t row = 0; row < rows.positions.size(); ++row)
    if (score(args, sequence, query, asked, rows, row) != -std::numeric_limits<double>::infinity())
      seen.push_back(rows.positions[row]);
  return seen;
}

}  // namespace attnlab

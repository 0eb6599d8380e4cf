#include "core/attend_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace attnlab {
namespace {

// All rows of one (sequence, kv head), as the queries meet them.
struct Rows {
  std::vector<float> keys;    // [rows, key_dim], rotated
  std::vector<float> values;  // [rows, value_dim]
  std::vector<Position> positions;
  std::vector<Position> caps;
};

Rows read_rows(const AttendArgs& args, int sequence, int kv_head) {
  const KvShape shape = args.source.shape();
  // As much room as the core gives: values in whole vectors.
  std::vector<float> keys(static_cast<std::size_t>(shape.key_dim + 16) * kTileRows);
  std::vector<float> values(static_cast<std::size_t>(shape.value_dim + 16) * kTileRows);
  std::vector<Position> positions(kTileRows);
  TileScratch scratch{keys, values, positions};
  Rows all;
  for (int index = 0; index < args.source.tiles(sequence, kv_head); ++index) {
    const KvTile tile = args.source.tile(sequence, kv_head, index, scratch);
    for (int row = 0; row < tile.rows(); ++row) {
      for (int i = 0; i < shape.key_dim; ++i) all.keys.push_back(tile.keys(row, i));
      for (int i = 0; i < shape.value_dim; ++i) all.values.push_back(tile.values(row, i));
      all.positions.push_back(tile.positions[row]);
      all.caps.push_back(tile.query_cap);
    }
  }
  if (args.rotation != nullptr && args.source.key_form() == KeyForm::unrotated && !all.positions.empty())
    rotate_columns(*args.rotation, {all.positions, args.chunk.lengths[sequence], RotateSide::key}, shape,
                   {all.keys.data(), {static_cast<std::int64_t>(all.positions.size()), 1, shape.key_dim}});
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
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = args_.queries(of_.token, of_.head, i);
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

// One query head over one row: its score after hooks and masks, -infinity where it is not seen.
double score(const AttendArgs& args, int sequence, QueryOfHead of, Query& query, const Rows& rows, std::size_t row) {
  const KvShape shape = args.source.shape();
  const Position position = std::min(args.chunk.positions[of.token], rows.caps[row]);
  const std::vector<float>& values = query.at(position);
  double sum = 0;
  for (int i = 0; i < shape.key_dim; ++i) sum += static_cast<double>(values[i]) * rows.keys[row * shape.key_dim + i];
  auto one = static_cast<float>(sum * args.scale);
  ScoreTile tile{.scores = {&one, {1, 1, 1}},
                 .query_positions = {&position, 1},
                 .key_positions = {&rows.positions[row], 1},
                 .first_head = of.head};
  for (const ScoreHook* hook : args.hooks) hook->apply(tile);
  const PositionRange of_query{position, position};
  const PositionRange of_key{rows.positions[row], rows.positions[row]};
  for (const MaskRule* mask : {&args.mask, args.source.visibility(sequence)}) {
    if (mask == nullptr) continue;
    const MaskRule::Cover cover = mask->cover(of_query, of_key);
    if (cover == MaskRule::Cover::none) return -std::numeric_limits<double>::infinity();
    if (cover == MaskRule::Cover::partial) mask->mask(tile);
  }
  return one;
}

// to [value_dim], zeros beforehand
void answer(const AttendArgs& args, int sequence, QueryOfHead of, const Rows& rows, double* to) {
  const int value_dim = args.source.shape().value_dim;
  Query query(args, sequence, of);
  std::vector<double> scores;
  for (std::size_t row = 0; row < rows.positions.size(); ++row)
    scores.push_back(score(args, sequence, of, query, rows, row));
  double largest = args.sink_logits.empty() ? -std::numeric_limits<double>::infinity() : args.sink_logits[of.head];
  for (const double each : scores) largest = std::isnan(each) ? each : std::max(largest, each);
  if (std::isinf(largest)) return;  // sees nothing: zeros
  double sum = args.sink_logits.empty() ? 0 : std::exp(args.sink_logits[of.head] - largest);
  for (const double each : scores) sum += std::exp(each - largest);
  for (std::size_t row = 0; row < scores.size(); ++row)
    for (int j = 0; j < value_dim; ++j)
      to[j] += std::exp(scores[row] - largest) / sum * rows.values[row * value_dim + j];
}

int sequence_of(const ChunkView& chunk, int token) {
  int sequence = 0;
  while (token >= chunk.first(sequence) + chunk.tokens_of(sequence)) ++sequence;
  return sequence;
}

}  // namespace

std::vector<double> attend_reference(const AttendArgs& args, std::span<const QueryOfHead> queries) {
  const KvShape shape = args.source.shape();
  const int group = static_cast<int>(args.queries.extent(1)) / shape.kv_heads;
  std::vector<double> out(queries.size() * shape.value_dim);
  // Rows are read once for all queries of a sequence and kv head.
  std::map<std::pair<int, int>, std::vector<std::size_t>> of_rows;
  for (std::size_t i = 0; i < queries.size(); ++i)
    of_rows[{sequence_of(args.chunk, queries[i].token), queries[i].head / group}].push_back(i);
  for (const auto& [place, asked] : of_rows) {
    const Rows rows = read_rows(args, place.first, place.second);
    for (const std::size_t i : asked) answer(args, place.first, queries[i], rows, out.data() + i * shape.value_dim);
  }
  return out;
}

std::vector<double> attend_reference(const AttendArgs& args) {
  std::vector<QueryOfHead> all;
  for (int token = 0; token < args.queries.extent(0); ++token)
    for (int head = 0; head < args.queries.extent(1); ++head) all.push_back({token, head});
  return attend_reference(args, all);
}

}  // namespace attnlab

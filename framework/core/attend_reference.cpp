#include "core/attend_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

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

// One query head over one row: its score after hooks and masks, -infinity where it is not seen.
double score(const AttendArgs& args, int sequence, int token, int head, const Rows& rows, std::size_t row) {
  const KvShape shape = args.source.shape();
  const Position position = std::min(args.chunk.positions[token], rows.caps[row]);
  std::vector<float> query(shape.key_dim);
  for (int i = 0; i < shape.key_dim; ++i) query[i] = args.queries(token, head, i);
  if (args.rotation != nullptr)
    rotate_columns(*args.rotation, {{&position, 1}, args.chunk.lengths[sequence], RotateSide::query}, shape,
                   {query.data(), {1, 1, shape.key_dim}});
  double sum = 0;
  for (int i = 0; i < shape.key_dim; ++i) sum += static_cast<double>(query[i]) * rows.keys[row * shape.key_dim + i];
  auto one = static_cast<float>(sum * args.scale);
  ScoreTile tile{.scores = {&one, {1, 1, 1}},
                 .query_positions = {&position, 1},
                 .key_positions = {&rows.positions[row], 1},
                 .first_head = head};
  for (const ScoreHook* hook : args.hooks) hook->apply(tile);
  const PositionRange of_query{position, position};
  const PositionRange of_key{rows.positions[row], rows.positions[row]};
  for (const MaskRule* mask : {&args.mask, args.source.visibility()}) {
    if (mask == nullptr) continue;
    const MaskRule::Cover cover = mask->cover(of_query, of_key);
    if (cover == MaskRule::Cover::none) return -std::numeric_limits<double>::infinity();
    if (cover == MaskRule::Cover::partial) mask->mask(tile);
  }
  return one;
}

}  // namespace

std::vector<double> attend_reference(const AttendArgs& args) {
  const KvShape shape = args.source.shape();
  const int heads = static_cast<int>(args.queries.extent(1));
  const int group = heads / shape.kv_heads;
  std::vector<double> out(static_cast<std::size_t>(args.queries.extent(0)) * heads * shape.value_dim);
  for (int sequence = 0; sequence < args.chunk.sequences(); ++sequence)
    for (int kv_head = 0; kv_head < shape.kv_heads; ++kv_head) {
      const Rows rows = read_rows(args, sequence, kv_head);
      for (int i = 0; i < args.chunk.tokens_of(sequence); ++i)
        for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
          const int token = args.chunk.first(sequence) + i;
          std::vector<double> scores;
          for (std::size_t row = 0; row < rows.positions.size(); ++row)
            scores.push_back(score(args, sequence, token, head, rows, row));
          double largest = args.sink_logits.empty() ? -std::numeric_limits<double>::infinity() : args.sink_logits[head];
          for (const double each : scores) largest = std::isnan(each) ? each : std::max(largest, each);
          if (std::isinf(largest)) continue;  // sees nothing: zeros
          double sum = args.sink_logits.empty() ? 0 : std::exp(args.sink_logits[head] - largest);
          for (const double each : scores) sum += std::exp(each - largest);
          double* to = out.data() + (static_cast<std::size_t>(token) * heads + head) * shape.value_dim;
          for (std::size_t row = 0; row < scores.size(); ++row)
            for (int j = 0; j < shape.value_dim; ++j)
              to[j] += std::exp(scores[row] - largest) / sum * rows.values[row * shape.value_dim + j];
        }
    }
  return out;
}

}  // namespace attnlab

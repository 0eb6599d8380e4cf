// Attention as its formula says it, in double precision: for one query, score every row, mask, softmax, mix the values.
// No tiles, no running maximum, nothing shared with framework/core. What the fast core must agree with.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <attnlab/core.h>

#include "reference/streams.h"

namespace attnlab::reference {

/// One key and value of one kv head, as it was before any rotation.
struct Row {
  std::vector<float> key;    // [key_dim]
  std::vector<float> value;  // [value_dim]
  Position position = 0;
  Position query_cap = kNoCap;
};

/// What is done beside the plain formula. Absent functions do nothing; an absent `sees` sees everything.
struct Rules {
  double scale = 1;
  std::function<void(std::span<double> x, Position position, RotateSide side, Position length)> rotate = {};
  std::function<double(double score, int head, Position query, Position key)> hook = {};
  std::function<bool(Position query, Position key)> sees = {};
  std::vector<float> sink_logits = {};  // [heads] or empty
};

/// Key j is seen by query i where i - window < j <= i; window 0: no lower bound.
inline auto causal(Position window = 0) {
  return [window](Position query, Position key) { return key <= query && (window == 0 || key > query - window); };
}

inline std::vector<double> rotated(std::span<const float> x, Position position, RotateSide side, Position length,
                                   const Rules& rules) {
  std::vector<double> turned(x.begin(), x.end());
  if (rules.rotate) rules.rotate(turned, position, side, length);
  return turned;
}

/// Rows as the queries meet them: keys rotated, once for all queries.
using Keys = std::vector<std::vector<double>>;
inline Keys rotated_keys(std::span<const Row> rows, Position length, const Rules& rules) {
  Keys keys;
  for (const Row& row : rows) keys.push_back(rotated(row.key, row.position, RotateSide::key, length, rules));
  return keys;
}

struct Query {
  std::span<const float> vector;  // [key_dim], not rotated
  int head = 0;
  Position position = 0;
  Position length = 0;
};

/// One query over `rows`, whose rotated keys are `keys`. `largest_score`, if given, is raised to the largest |score|:
/// what rounding errors of scores are relative to. `log_sum`, if given, becomes the logarithm of the sum of exp(score).
inline std::vector<double> attend_one(const Query& query, std::span<const Row> rows, const Keys& keys,
                                      std::size_t value_dim, const Rules& rules, double* largest_score = nullptr,
                                      double* log_sum = nullptr) {
  std::vector<double> scores;
  std::vector<std::size_t> seen;
  std::vector<double> turned;  // the query at the position that it counts as
  Position turned_to = -1;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const Position counted = std::min(query.position, rows[row].query_cap);
    if (rules.sees && !rules.sees(counted, rows[row].position)) continue;
    if (turned_to != counted) turned = rotated(query.vector, counted, RotateSide::query, query.length, rules);
    turned_to = counted;
    double score = 0;
    for (std::size_t i = 0; i < turned.size(); ++i) score += turned[i] * keys[row][i];
    score *= rules.scale;
    if (largest_score != nullptr) *largest_score = std::max(*largest_score, std::abs(score));
    if (rules.hook) score = rules.hook(score, query.head, counted, rows[row].position);
    if (largest_score != nullptr) *largest_score = std::max(*largest_score, std::abs(score));
    scores.push_back(score);
    seen.push_back(row);
  }
  std::vector<double> out(value_dim);
  double largest = -std::numeric_limits<double>::infinity();
  for (const double score : scores) largest = std::max(largest, score);
  if (!rules.sink_logits.empty()) largest = std::max<double>(largest, rules.sink_logits[query.head]);
  double sum = rules.sink_logits.empty() ? 0 : std::exp(rules.sink_logits[query.head] - largest);
  for (const double score : scores) sum += std::exp(score - largest);
  if (log_sum != nullptr) *log_sum = largest + (sum == 0 ? 0 : std::log(sum));
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const double weight = std::exp(scores[i] - largest) / sum;
    for (std::size_t j = 0; j < value_dim; ++j) out[j] += weight * rows[seen[i]].value[j];
  }
  return out;
}

/// The rows that every sequence and kv head has.
struct RowLists {
  KvShape shape;
  std::vector<std::vector<Row>> lists;  // [sequences x kv_heads]

  [[nodiscard]] std::vector<Row>& at(int sequence, int kv_head) { return lists[sequence * shape.kv_heads + kv_head]; }
  [[nodiscard]] const std::vector<Row>& at(int sequence, int kv_head) const {
    return lists[sequence * shape.kv_heads + kv_head];
  }
};

struct Answer {
  std::vector<double> out;       // [tokens, heads, value_dim]
  std::vector<double> log_sums;  // [tokens, heads]
  double largest_score = 0;
};

/// queries [tokens, heads, key_dim], not rotated.
inline Answer attend_all(const std::vector<float>& queries, int heads, const ChunkView& chunk, const RowLists& rows,
                         const Rules& rules) {
  const KvShape& shape = rows.shape;
  const auto width = static_cast<std::size_t>(shape.key_dim);
  const auto value_dim = static_cast<std::size_t>(shape.value_dim);
  Answer answer{std::vector<double>(static_cast<std::size_t>(chunk.tokens()) * heads * value_dim),
                std::vector<double>(static_cast<std::size_t>(chunk.tokens()) * heads)};
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
    for (int kv_head = 0; kv_head < shape.kv_heads; ++kv_head) {
      const std::vector<Row>& list = rows.at(sequence, kv_head);
      const Keys keys = rotated_keys(list, chunk.lengths[sequence], rules);
      const int group = heads / shape.kv_heads;
      for (int token = chunk.first(sequence); token < chunk.first(sequence) + chunk.tokens_of(sequence); ++token)
        for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
          const std::size_t index = static_cast<std::size_t>(token) * heads + head;
          const Query query{
              {queries.data() + index * width, width}, head, chunk.positions[token], chunk.lengths[sequence]};
          const std::vector<double> out =
              attend_one(query, list, keys, value_dim, rules, &answer.largest_score, &answer.log_sums[index]);
          std::copy(out.begin(), out.end(), answer.out.begin() + index * value_dim);
        }
    }
  return answer;
}

/// How far single precision may be from the reference. An error of a score is an equal relative error of its weight:
/// a dot product of `key_dim` terms, and a score as large as `largest_score` rounded in scaling, hook, shift and
/// exponential; then a sum over `rows`. Rounding errors add up as a random walk; 2 covers the largest of many outputs.
inline double attend_tolerance(int key_dim, std::size_t rows, double largest_score) {
  return 2 * kRounding * (std::sqrt(key_dim) + std::sqrt(static_cast<double>(rows)) + largest_score);
}

}  // namespace attnlab::reference

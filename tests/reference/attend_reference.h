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
  std::function<void(std::span<double> x, Position position, RotateSide side, Position length)> rotate;
  std::function<double(double score, int head, Position query, Position key)> hook;
  std::function<bool(Position query, Position key)> sees;
  std::vector<float> sink_logits;  // [heads] or empty
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

/// One query of one head over `rows`. `largest_score`, if given, is raised to the largest |score|: what rounding
/// errors of scores are relative to.
inline std::vector<double> attend_one(std::span<const float> query, int head, Position position, Position length,
                                      std::span<const Row> rows, std::size_t value_dim, const Rules& rules,
                                      double* largest_score = nullptr) {
  std::vector<double> scores;
  std::vector<const Row*> seen;
  for (const Row& row : rows) {
    const Position counted = std::min(position, row.query_cap);
    if (rules.sees && !rules.sees(counted, row.position)) continue;
    const std::vector<double> q = rotated(query, counted, RotateSide::query, length, rules);
    const std::vector<double> k = rotated(row.key, row.position, RotateSide::key, length, rules);
    double score = 0;
    for (std::size_t i = 0; i < q.size(); ++i) score += q[i] * k[i];
    score *= rules.scale;
    if (largest_score != nullptr) *largest_score = std::max(*largest_score, std::abs(score));
    if (rules.hook) score = rules.hook(score, head, counted, row.position);
    if (largest_score != nullptr) *largest_score = std::max(*largest_score, std::abs(score));
    scores.push_back(score);
    seen.push_back(&row);
  }
  std::vector<double> out(value_dim);
  if (scores.empty()) return out;
  double largest = *std::max_element(scores.begin(), scores.end());
  if (!rules.sink_logits.empty()) largest = std::max<double>(largest, rules.sink_logits[head]);
  double sum = rules.sink_logits.empty() ? 0 : std::exp(rules.sink_logits[head] - largest);
  for (const double score : scores) sum += std::exp(score - largest);
  for (std::size_t i = 0; i < seen.size(); ++i)
    for (std::size_t j = 0; j < value_dim; ++j) out[j] += std::exp(scores[i] - largest) / sum * seen[i]->value[j];
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
  std::vector<double> out;  // [tokens, heads, value_dim]
  double largest_score = 0;
};

/// queries [tokens, heads, key_dim], not rotated.
inline Answer attend_all(const std::vector<float>& queries, int heads, const ChunkView& chunk, const RowLists& rows,
                         const Rules& rules) {
  const int width = rows.shape.key_dim;
  Answer answer;
  for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
    for (int token = chunk.first(sequence); token < chunk.first(sequence) + chunk.tokens_of(sequence); ++token)
      for (int head = 0; head < heads; ++head) {
        const std::span<const float> query(queries.data() + (static_cast<std::size_t>(token) * heads + head) * width,
                                           static_cast<std::size_t>(width));
        const int kv_head = head / (heads / rows.shape.kv_heads);
        const std::vector<double> out =
            attend_one(query, head, chunk.positions[token], chunk.lengths[sequence], rows.at(sequence, kv_head),
                       static_cast<std::size_t>(rows.shape.value_dim), rules, &answer.largest_score);
        answer.out.insert(answer.out.end(), out.begin(), out.end());
      }
  return answer;
}

/// How far single precision may be from the reference. An error of a score is an equal relative error of its weight:
/// a dot product of `key_dim` terms, and a score as large as `largest_score` rounded in scaling, hook, shift and
/// exponential; then a sum over `rows`. Rounding errors add up as a random walk; 8 covers the largest of many outputs.
inline double attend_tolerance(int key_dim, std::size_t rows, double largest_score) {
  return 8 * kRounding * (std::sqrt(key_dim) + std::sqrt(static_cast<double>(rows)) + largest_score);
}

}  // namespace attnlab::reference

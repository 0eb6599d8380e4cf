// Families that weigh or choose rows in their own way, from their definitions, in double precision: entmax,
// stick-breaking, talking heads, mixture of block attention. Token by token, all keys of the past at once, no cache.
#pragma once

#include "reference/variant_reference.h"

namespace attnlab::reference {

using HeadWeights = std::vector<std::vector<double>>;  // [heads][rows up to the query]

// Of one layer: what its heads see, rotated.
struct HeadRows {
  CreateContext context;
  Rows q, k, v;
  [[nodiscard]] int kv_head(int head) const { return head / (context.heads / context.kv_heads); }
  [[nodiscard]] std::span<const double> query(int token, int head) const {
    return std::span(q).subspan((token * context.heads + head) * context.head_dim, context.head_dim);
  }
  [[nodiscard]] std::span<const double> key(int token, int head) const {
    return std::span(k).subspan((token * context.kv_heads + kv_head(head)) * context.head_dim, context.head_dim);
  }
};

// Scores, scaled and without position bias, and the bias beside them, become weights.
using WeighRows =
    std::function<HeadWeights(const HeadRows& rows, const HeadWeights& scores, const HeadWeights& bias, int query)>;

inline Rows family_reference(const CreateContext& c, const Variant& layer, const Rows& hidden, const Scheme& scheme,
                             const WeighRows& weigh) {
  const int d = c.head_dim;
  HeadRows rows{c, times(hidden, layer.values("q_proj.weight"), kHidden),
                times(hidden, layer.values("k_proj.weight"), kHidden),
                times(hidden, layer.values("v_proj.weight"), kHidden)};
  turn_all(scheme, rows.q, c.heads, d);
  turn_all(scheme, rows.k, c.kv_heads, d);
  Rows mixed;
  for (int query = 0; query < static_cast<int>(hidden.size() / kHidden); ++query) {
    HeadWeights scores(c.heads), bias(c.heads);
    for (int head = 0; head < c.heads; ++head)
      for (int key = 0; key <= query; ++key) {
        scores[head].push_back(dot(rows.query(query, head), rows.key(key, head)) / std::sqrt(d));
        bias[head].push_back(scheme.bias ? scheme.bias(head, query, key) : 0);
      }
    const HeadWeights weights = weigh(rows, scores, bias, query);
    for (int head = 0; head < c.heads; ++head)
      for (int i = 0; i < d; ++i) {
        double sum = 0;
        for (int key = 0; key <= query; ++key)
          sum += weights[head][key] * rows.v[(key * c.kv_heads + rows.kv_head(head)) * d + i];
        mixed.push_back(sum);
      }
  }
  return times(mixed, layer.values("o_proj.weight"), static_cast<std::size_t>(c.heads) * d);
}

inline HeadWeights sum_of(HeadWeights a, const HeadWeights& b) {
  for (std::size_t head = 0; head < a.size(); ++head)
    for (std::size_t row = 0; row < a[head].size(); ++row) a[head][row] += b[head][row];
  return a;
}

inline void softmax(std::vector<double>& scores) {
  const double largest = *std::ranges::max_element(scores);
  double sum = 0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (double& score : scores) score /= sum;
}

// The threshold is found by halving an interval in which it must lie.
inline HeadWeights entmax_weights(const HeadRows&, const HeadWeights& scores, const HeadWeights& bias, int) {
  HeadWeights weights = sum_of(scores, bias);
  for (std::vector<double>& of_head : weights) {
    double high = *std::ranges::max_element(of_head) / 2, low = high - 1;
    const auto weight = [](double score, double t) { return std::pow(std::max(score / 2 - t, 0.0), 2); };
    for (int i = 0; i < 80; ++i) {
      const double t = (low + high) / 2;
      double sum = 0;
      for (const double score : of_head) sum += weight(score, t);
      (sum > 1 ? low : high) = t;
    }
    for (double& score : of_head) score = weight(score, low);
  }
  return weights;
}

inline HeadWeights stick_breaking_weights(const HeadRows&, const HeadWeights& scores, const HeadWeights& bias,
                                          int query) {
  HeadWeights weights = sum_of(scores, bias);
  for (std::vector<double>& of_head : weights) {
    const std::vector<double> z = of_head;
    const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
    const auto left = [&](int first) {  // by the rows from `first` to before the query
      double product = 1;
      for (int row = first; row < query; ++row) product *= 1 - sigmoid(z[row]);
      return product;
    };
    for (int row = 0; row < query; ++row) of_head[row] = sigmoid(z[row]) * left(row + 1);
    of_head[query] = left(0);
  }
  return weights;
}

// pre, post [heads, heads]
inline HeadWeights talking_weights(std::span<const float> pre, std::span<const float> post, const HeadWeights& scores,
                                   const HeadWeights& bias) {
  const std::size_t heads = scores.size();
  const auto mixed = [&](std::span<const float> by, const HeadWeights& rows) {
    if (by.empty()) return rows;
    HeadWeights to(heads, std::vector<double>(rows[0].size()));
    for (std::size_t g = 0; g < heads; ++g)
      for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t row = 0; row < rows[h].size(); ++row) to[g][row] += by[g * heads + h] * rows[h][row];
    return to;
  };
  HeadWeights weights = sum_of(mixed(pre, scores), bias);
  for (std::vector<double>& of_head : weights) softmax(of_head);
  return mixed(post, weights);
}

inline HeadWeights moba_weights(int block, int top_k, const HeadRows& rows, const HeadWeights& scores,
                                const HeadWeights& bias, int query) {
  HeadWeights weights = sum_of(scores, bias);
  for (int head = 0; head < static_cast<int>(weights.size()); ++head) {
    std::vector<std::pair<double, int>> gates;  // of the blocks before the query's own
    for (int earlier = 0; earlier < query / block; ++earlier) {
      double sum = 0;
      for (int key = earlier * block; key < (earlier + 1) * block; ++key)
        sum += dot(rows.query(query, head), rows.key(key, head));
      gates.emplace_back(sum / block, earlier);
    }
    std::ranges::sort(gates, std::greater());
    std::vector<bool> is_read(query / block + 1);
    is_read[query / block] = true;
    for (std::size_t i = 0; i < gates.size() && static_cast<int>(i) < top_k - 1; ++i) is_read[gates[i].second] = true;
    for (int key = 0; key <= query; ++key)
      if (!is_read[key / block]) weights[head][key] = -std::numeric_limits<double>::infinity();
    softmax(weights[head]);
  }
  return weights;
}

}  // namespace attnlab::reference

// Cache policies as fixtures/cache/SPEC.md and fixtures/plugins/SPEC.md define them, with plain vectors in double
// precision: every probability of every query is kept, and every decision is made by sorting what is there.
// Nothing is shared with the plugins. Not here: what a policy answers to options that are wrong.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "reference/streams.h"

namespace attnlab::reference {

using Vector = std::vector<double>;

inline double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
inline double length(const Vector& a) {
  return std::sqrt(dot(a, a));
}

/// What is fed, before any rotation.
struct PolicyStreams {
  int heads = 4;
  int kv_heads = 2;
  int key_dim = 16;
  int value_dim = 20;
  std::vector<float> queries, keys, values;  // [tokens, heads or kv_heads, dim]

  PolicyStreams(std::uint64_t seed, int tokens) {
    Stream stream(seed);
    queries = stream.normals(std::int64_t{tokens} * heads * key_dim, 1.5);
    keys = stream.normals(std::int64_t{tokens} * kv_heads * key_dim);
    values = stream.normals(std::int64_t{tokens} * kv_heads * value_dim);
  }
  [[nodiscard]] int group() const { return heads / kv_heads; }
  [[nodiscard]] Vector query(int i, int head) const { return part(queries, i * heads + head, key_dim); }
  [[nodiscard]] Vector key(int j, int kv_head) const { return part(keys, j * kv_heads + kv_head, key_dim); }
  [[nodiscard]] Vector value(int j, int kv_head) const { return part(values, j * kv_heads + kv_head, value_dim); }

 private:
  static Vector part(const std::vector<float>& all, int index, int width) {
    return {all.begin() + std::ptrdiff_t{index} * width, all.begin() + std::ptrdiff_t{index + 1} * width};
  }
};

/// One prompt or one decode step.
struct Operation {
  int first;
  int last;
  bool is_prompt;
};

class PolicySimulation {
 public:
  using Rotate = std::function<void(Vector&, int position)>;
  using Evict = std::function<void(PolicySimulation&, const Operation&)>;
  /// Positions of `cached` that a decode query reads.
  using Choose = std::function<std::vector<int>(const PolicySimulation&, int query, int head)>;

  PolicySimulation(const PolicyStreams& streams_, Evict evict, Rotate rotate_ = {}, Choose choose = {})
      : streams(streams_), rotate(std::move(rotate_)), evict_(std::move(evict)), choose_(std::move(choose)) {
    cached.resize(streams.kv_heads);
  }

  /// [tokens, heads, value_dim]
  Vector run(const Operation& operation) {
    Vector out;
    for (auto& positions : cached)
      for (int j = operation.first; j <= operation.last; ++j) positions.push_back(j);
    for (int i = operation.first; i <= operation.last; ++i)
      for (int head = 0; head < streams.heads; ++head) {
        std::vector<int> reads = cached[head / streams.group()];
        if (choose_ && !operation.is_prompt) reads = choose_(*this, i, head);
        std::erase_if(reads, [&](int j) { return j > i; });
        const Vector answer = answer_one(i, head, reads);
        out.insert(out.end(), answer.begin(), answer.end());
      }
    if (evict_) evict_(*this, operation);
    return out;
  }

  /// As it is stored.
  [[nodiscard]] Vector key(int j, int kv_head) const { return turned(streams.key(j, kv_head), j); }
  [[nodiscard]] Vector query(int i, int head) const { return turned(streams.query(i, head), i); }
  [[nodiscard]] double probability(int i, int head, int j) const {
    const auto found = probabilities_.find({i, head, j});
    return found == probabilities_.end() ? 0 : found->second;
  }
  /// Summed over the group's heads and the queries first .. last.
  [[nodiscard]] double mass(int first, int last, int kv_head, int j) const {
    double sum = 0;
    for (int i = first; i <= last; ++i)
      for (int member = 0; member < streams.group(); ++member)
        sum += probability(i, kv_head * streams.group() + member, j);
    return sum;
  }

  const PolicyStreams& streams;
  Rotate rotate;
  std::vector<std::vector<int>> cached;  // [kv_heads] positions, ascending
  double largest_score = 0;

 private:
  [[nodiscard]] Vector turned(Vector x, int position) const {
    if (rotate) rotate(x, position);
    return x;
  }

  Vector answer_one(int i, int head, const std::vector<int>& reads) {
    const int kv_head = head / streams.group();
    const Vector q = query(i, head);
    Vector scores;
    for (const int j : reads) {
      scores.push_back(dot(q, key(j, kv_head)) / std::sqrt(streams.key_dim));
      largest_score = std::max(largest_score, std::abs(scores.back()));
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (const double score : scores) sum += std::exp(score - largest);
    Vector out(streams.value_dim);
    for (std::size_t n = 0; n < reads.size(); ++n) {
      const double weight = std::exp(scores[n] - largest) / sum;
      probabilities_[{i, head, reads[n]}] = weight;
      const Vector value = streams.value(reads[n], kv_head);
      for (int c = 0; c < streams.value_dim; ++c) out[c] += weight * value[c];
    }
    return out;
  }

  Evict evict_;
  Choose choose_;
  std::map<std::array<int, 3>, double> probabilities_;
};

struct Protected {
  int first = 0;
  int recent = 0;
};

/// The `keep` that stay of `cached`: the protected ones, then the highest scores, of equal ones the higher position.
inline std::vector<int> best(const std::vector<int>& cached, int keep, Protected protect,
                             const std::function<double(int position)>& score) {
  const int count = static_cast<int>(cached.size());
  if (count <= keep) return cached;
  std::vector<std::tuple<bool, double, int>> ranked;
  for (int n = 0; n < count; ++n)
    ranked.emplace_back(cached[n] < protect.first || n >= count - protect.recent, score(cached[n]), cached[n]);
  std::sort(ranked.rbegin(), ranked.rend());
  std::vector<int> kept;
  for (int n = 0; n < keep; ++n) kept.push_back(std::get<int>(ranked[n]));
  std::sort(kept.begin(), kept.end());
  return kept;
}

inline PolicySimulation::Evict h2o(int heavy, int recent, Protected protect = {}) {
  return [=](PolicySimulation& at, const Operation& now) {
    for (int g = 0; g < at.streams.kv_heads; ++g)
      at.cached[g] = best(at.cached[g], heavy + recent, {protect.first, std::max(recent, protect.recent)},
                          [&](int j) { return at.mass(0, now.last, g, j); });
  };
}

inline PolicySimulation::Evict tova(int budget, Protected protect = {}) {
  return [=](PolicySimulation& at, const Operation& now) {
    const std::vector<int> kept = best(at.cached[0], budget, protect, [&](int j) {
      double sum = 0;
      for (int head = 0; head < at.streams.heads; ++head) sum += at.probability(now.last, head, j);
      return sum / at.streams.heads;
    });
    for (auto& positions : at.cached) positions = kept;
  };
}

/// The newest queries of a prompt, and how their scores are mixed with their neighbours'.
struct Observation {
  int window;
  int kernel;
  bool takes_maximum = false;  // else the average
};

/// Of the rows before the window, by position.
inline std::map<int, double> snapkv_scores(const PolicySimulation& at, const Operation& now, int kv_head,
                                           const Observation& by) {
  const std::vector<int>& cached = at.cached[kv_head];
  const int older = static_cast<int>(cached.size()) - by.window;
  std::map<int, double> scores;
  for (int n = 0; n < older; ++n) {
    std::vector<double> around;
    for (int m = n - by.kernel / 2; m <= n + by.kernel / 2; ++m)
      if (m >= 0 && m < older)
        around.push_back(at.mass(now.last - by.window + 1, now.last, kv_head, cached[m]) /
                         (by.window * at.streams.group()));
    scores[cached[n]] = by.takes_maximum ? *std::max_element(around.begin(), around.end())
                                         : std::accumulate(around.begin(), around.end(), 0.0) / by.kernel;
  }
  return scores;
}

inline PolicySimulation::Evict snapkv(int budget, const Observation& by, Protected protect = {}) {
  return [=](PolicySimulation& at, const Operation& now) {
    if (!now.is_prompt) return;
    for (int g = 0; g < at.streams.kv_heads; ++g) {
      const std::map<int, double> scores = snapkv_scores(at, now, g, by);
      at.cached[g] = best(at.cached[g], budget, {protect.first, std::max(by.window, protect.recent)},
                          [&](int j) { return scores.contains(j) ? scores.at(j) : 0; });
    }
  };
}

inline PolicySimulation::Evict adakv(int budget, const Observation& by, double safeguard, Protected protect = {}) {
  return [=](PolicySimulation& at, const Operation& now) {
    const int kv_heads = at.streams.kv_heads;
    std::size_t all = 0;
    for (const auto& positions : at.cached) all += positions.size();
    if (!now.is_prompt || static_cast<int>(all) <= kv_heads * budget) return;
    using Entry = std::tuple<double, int, int>;  // score, position, minus the head: the largest is the best
    std::vector<Entry> pool;
    std::vector<std::vector<int>> kept(kv_heads);
    int places = kv_heads * (budget - by.window);
    for (int g = 0; g < kv_heads; ++g) {
      std::vector<Entry> older;
      const int count = static_cast<int>(at.cached[g].size());
      for (const auto& [j, score] : snapkv_scores(at, now, g, by)) {
        const bool safe = j < protect.first || j > at.cached[g][std::max(count - 1 - protect.recent, 0)];
        older.emplace_back(safe ? std::numeric_limits<double>::infinity() : score, j, -g);
      }
      std::sort(older.rbegin(), older.rend());
      const int share = static_cast<int>(safeguard * (budget - by.window) + 1e-9);
      const int own = std::min(share, static_cast<int>(older.size()));
      for (int n = 0; n < own; ++n) kept[g].push_back(std::get<1>(older[n]));
      places -= own;
      pool.insert(pool.end(), older.begin() + own, older.end());
      for (int n = std::max(count - by.window, 0); n < count; ++n) kept[g].push_back(at.cached[g][n]);
    }
    std::sort(pool.rbegin(), pool.rend());
    for (int n = 0; n < std::min(places, static_cast<int>(pool.size())); ++n)
      kept[-std::get<2>(pool[n])].push_back(std::get<1>(pool[n]));
    for (int g = 0; g < kv_heads; ++g) {
      std::sort(kept[g].begin(), kept[g].end());
      at.cached[g] = kept[g];
    }
  };
}

inline PolicySimulation::Evict knorm(int budget, Protected protect = {}) {
  return [=](PolicySimulation& at, const Operation&) {
    for (int g = 0; g < at.streams.kv_heads; ++g)
      at.cached[g] = best(at.cached[g], budget, protect, [&](int j) { return -length(at.key(j, g)); });
  };
}

inline PolicySimulation::Evict keydiff(int budget, Protected protect = {}) {
  return [=](PolicySimulation& at, const Operation&) {
    for (int g = 0; g < at.streams.kv_heads; ++g) {
      Vector anchor(at.streams.key_dim);
      for (const int j : at.cached[g]) {
        const Vector key = at.key(j, g);
        for (int c = 0; c < at.streams.key_dim; ++c) anchor[c] += key[c] / length(key) / at.cached[g].size();
      }
      at.cached[g] = best(at.cached[g], budget, protect,
                          [&](int j) { return -dot(at.key(j, g), anchor) / (length(at.key(j, g)) * length(anchor)); });
    }
  };
}

inline PolicySimulation::Evict expected_attention(int budget, int future, int sinks, Protected protect = {}) {
  return [=](PolicySimulation& at, const Operation& now) {
    if (!now.is_prompt) return;
    const int d = at.streams.key_dim;
    std::vector<Vector> ahead(d, Vector(d));  // [row][column]
    for (int c = 0; c < d; ++c)
      for (int position = now.last + 1; position <= now.last + future; ++position) {
        Vector unit(d);
        unit[c] = 1;
        if (at.rotate) at.rotate(unit, position);
        for (int r = 0; r < d; ++r) ahead[r][c] += unit[r] / future;
      }
    const auto moved = [&](const Vector& x) {
      Vector y;
      for (const Vector& row : ahead) y.push_back(dot(row, x));
      return y;
    };
    const std::vector<std::vector<int>> before = at.cached;
    for (int g = 0; g < at.streams.kv_heads; ++g) {
      std::map<int, double> scores;
      for (int head = g * at.streams.group(); head < (g + 1) * at.streams.group(); ++head) {
        // Moving each query and then taking mean and covariance is M m and M C M'.
        std::vector<Vector> queries;
        for (int i = std::max(now.first, sinks); i <= now.last; ++i)
          queries.push_back(moved(at.streams.query(i, head)));
        Vector mean(d);
        for (const Vector& q : queries)
          for (int c = 0; c < d; ++c) mean[c] += q[c] / queries.size();
        std::map<int, double> z;
        for (const int j : before[g]) {
          if (j < sinks) continue;
          const Vector key = at.key(j, g);
          double variance = 0;  // of q.k
          for (const Vector& q : queries) variance += std::pow(dot(q, key) - dot(mean, key), 2) / queries.size();
          z[j] = dot(mean, key) / std::sqrt(d) + variance / (2 * d);
        }
        double largest = -std::numeric_limits<double>::infinity();
        for (const auto& [j, x] : z) largest = std::max(largest, x);
        double sum = 0;
        for (const auto& [j, x] : z) sum += std::exp(x - largest);
        for (const auto& [j, x] : z) scores[j] += std::exp(x - largest) / sum / at.streams.group();
      }
      at.cached[g] = best(before[g], budget, {std::max(sinks, protect.first), protect.recent},
                          [&](int j) { return j < sinks ? 0 : scores.at(j) * length(at.streams.value(j, g)); });
    }
  };
}

inline PolicySimulation::Choose quest(int page, int budget) {
  return [=](const PolicySimulation& at, int query, int head) {
    const int g = head / at.streams.group();
    const std::vector<int>& cached = at.cached[g];
    const Vector q = at.query(query, head);
    const int current = query / page;
    std::vector<std::pair<double, int>> pages;  // score, page
    for (int p = 0; p < current; ++p) {
      double score = 0;
      for (int c = 0; c < at.streams.key_dim; ++c) {
        double highest = -std::numeric_limits<double>::infinity();
        for (int j = p * page; j < (p + 1) * page; ++j) highest = std::max(highest, q[c] * at.key(cached[j], g)[c]);
        score += highest;
      }
      pages.emplace_back(score, p);
    }
    std::sort(pages.rbegin(), pages.rend());
    pages.resize(std::min<std::size_t>(pages.size(), std::max(1, budget / page) - 1));
    std::vector<int> reads;
    for (const int j : cached)
      if (j / page == current ||
          std::any_of(pages.begin(), pages.end(), [&](const auto& chosen) { return chosen.second == j / page; }))
        reads.push_back(j);
    return reads;
  };
}

}  // namespace attnlab::reference

// A cache policy fed with random queries, keys and values, beside the definition of what it keeps: for every token the
// list of positions that it sees, and whether positions count those rows or stay the tokens' own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "reference/attend_case.h"
#include "reference/plugins.h"
#include "steps/given_attention.h"

namespace attnlab::reference {

struct Definition {
  /// Positions that a query at `position` sees, ascending, its own last.
  std::function<std::vector<Position>(Position position)> seen;
  bool renumbered = false;  // the row number is the position
  Rules rules = {};         // rotation and position bias
};

/// The first `sinks` and the newest `window` tokens.
inline std::vector<Position> sinks_and_window(Position position, Position sinks, Position window) {
  std::vector<Position> seen;
  for (Position key = 0; key <= position; ++key)
    if (key < sinks || key > position - window) seen.push_back(key);
  return seen;
}

struct CacheSpec {
  std::string cache;
  OptionValues options = {};
  std::string position = "none";
  OptionValues position_options = {};
  KvShape shape = {.kv_heads = 2, .key_dim = 16, .value_dim = 20};
  int group = 2;
  int sequences = 1;
  KeyForm key_form = KeyForm::rotated;
};

class CacheRun {
 public:
  CacheRun(const CacheSpec& spec, std::uint64_t seed)
      : spec_(spec),
        stream_(seed),
        scheme_(plugins().position(spec.position, spec.position_options, context())),
        policy_(plugins().cache(spec.cache, spec.options, context())),
        cache_(policy_->create(cache_context(spec.shape, heads(), spec.sequences, spec.key_form))) {
    history_.shape = spec.shape;
    history_.lists.resize(static_cast<std::size_t>(spec.sequences) * spec.shape.kv_heads);
  }

  /// Random queries, keys and values for the next `tokens[s]` tokens of every sequence, through the policy.
  /// The chunk is ended. Returns [tokens, heads, value_dim].
  std::vector<float> feed(const std::vector<int>& tokens, Phase phase = Phase::last_prefill) {
    const KvShape& shape = spec_.shape;
    chunk_ = {};
    for (int sequence = 0; sequence < spec_.sequences; ++sequence)
      chunk_.add(static_cast<Position>(history_.at(sequence, 0).size()), tokens[sequence], phase);
    const ChunkView view = chunk_.view();
    queries_ = stream_.normals(std::int64_t{view.tokens()} * heads() * shape.key_dim);
    std::vector<float> keys = stream_.normals(std::int64_t{view.tokens()} * shape.kv_heads * shape.key_dim);
    const std::vector<float> values = stream_.normals(std::int64_t{view.tokens()} * shape.kv_heads * shape.value_dim);
    for (int sequence = 0; sequence < spec_.sequences; ++sequence)
      for (int token = view.first(sequence); token < view.first(sequence) + view.tokens_of(sequence); ++token)
        for (int head = 0; head < shape.kv_heads; ++head) {
          const auto key = keys.begin() + (token * shape.kv_heads + head) * shape.key_dim;
          const auto value = values.begin() + (token * shape.kv_heads + head) * shape.value_dim;
          history_.at(sequence, head)
              .push_back({{key, key + shape.key_dim}, {value, value + shape.value_dim}, view.positions[token]});
        }
    std::vector<float> out(static_cast<std::size_t>(view.tokens()) * heads() * shape.value_dim,
                           std::numeric_limits<float>::quiet_NaN());
    GivenAttention rows(shape, heads());
    rows.give(rows_view(queries_, heads(), shape.key_dim), rows_view(keys, shape.kv_heads, shape.key_dim),
              rows_view(values, shape.kv_heads, shape.value_dim));
    run_layer(steps_, rows, {.chunk = view, .cache = *cache_, .position = *scheme_}, {},
              matrix_view(out, std::int64_t{heads()} * shape.value_dim));
    return out;
  }

  /// What the last chunk had to give.
  [[nodiscard]] Answer expected(const Definition& definition) const {
    const KvShape& shape = spec_.shape;
    const ChunkView view = chunk_.view();
    Rules rules = definition.rules;
    rules.scale = 1 / std::sqrt(static_cast<double>(shape.key_dim));
    Answer answer;
    for (int sequence = 0; sequence < view.sequences(); ++sequence)
      for (int token = view.first(sequence); token < view.first(sequence) + view.tokens_of(sequence); ++token)
        for (int head = 0; head < heads(); ++head) {
          std::vector<Row> rows;
          for (const Position position : definition.seen(view.positions[token])) {
            rows.push_back(history_.at(sequence, head / spec_.group)[position]);
            if (definition.renumbered) rows.back().position = static_cast<Position>(rows.size()) - 1;
          }
          const std::span<const float> query(
              queries_.data() + (static_cast<std::size_t>(token) * heads() + head) * shape.key_dim,
              static_cast<std::size_t>(shape.key_dim));
          const Position length = view.lengths[sequence];
          const std::vector<double> out =
              attend_one({query, head, rows.back().position, length}, rows, rotated_keys(rows, length, rules),
                         static_cast<std::size_t>(shape.value_dim), rules, &answer.largest_score);
          answer.out.insert(answer.out.end(), out.begin(), out.end());
        }
    return answer;
  }

  void clear(int sequence) {
    cache_->clear(sequence);
    for (int head = 0; head < spec_.shape.kv_heads; ++head) history_.at(sequence, head).clear();
  }
  [[nodiscard]] const LayerCache& cache() const { return *cache_; }
  [[nodiscard]] int heads() const { return spec_.shape.kv_heads * spec_.group; }
  [[nodiscard]] CreateContext context() const {
    return {.heads = heads(), .kv_heads = spec_.shape.kv_heads, .head_dim = spec_.shape.key_dim, .max_positions = 4096};
  }
  [[nodiscard]] const Chunk& chunk() const { return chunk_; }

 private:
  CacheSpec spec_;
  Stream stream_;
  RowLists history_;  // every row that was ever fed
  Chunk chunk_;
  std::vector<float> queries_;
  std::unique_ptr<PositionScheme> scheme_;
  std::unique_ptr<CachePolicy> policy_;
  std::unique_ptr<LayerCache> cache_;
  Scratch scratch_;
  DirectSteps steps_{scratch_};
};

}  // namespace attnlab::reference

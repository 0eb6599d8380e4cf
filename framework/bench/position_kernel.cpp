#include "bench/position_kernel.h"

#include <algorithm>
#include <numeric>

#include <attnlab/core.h>

#include "assembly/feeding.h"
#include "core/query_block.h"
#include "model/random_weights.h"
#include "parallel/parallel.h"

namespace attnlab::bench {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr int kTokensOfTask = 32;

class PositionKernel final : public Kernel {
 public:
  PositionKernel(const Registry& registry, const Entry& entry)
      : layer_(registry, entry.parts, entry.size(), kSeed),
        scheme_(layer_.position()),
        adds_to_embeddings_(
            registry.traits(registry.get(Kind::position, entry.id, entry.id), entry.parts.position.options)
                .provides.has(Feature::embedded_positions)),
        context_(entry.context),
        tokens_(entry.decodes() ? 1 : std::min(entry.context, experiment::kPrefillChunk)),
        key_positions_(entry.context),
        embeddings_(random("embeddings", layer_.size().hidden_dim)),
        queries_(random("queries", query_width())),
        keys_(random("keys", key_width())),
        rotated_(std::max(queries_.size(), keys_.size())),
        scores_(static_cast<std::size_t>(threads()) *
                (scheme_.row_bias() != nullptr ? std::size_t(entry.context) : std::size_t{kBlockRows} * kTileRows)) {
    std::iota(key_positions_.begin(), key_positions_.end(), 0);
    step();
  }

  void reset() override { std::fill(scores_.begin(), scores_.end(), 0.0F); }

  void step() override {
    if (adds_to_embeddings_)
      scheme_.add_to_embeddings(positions(), {embeddings_.data(), {tokens_, layer_.size().hidden_dim}});
    if (scheme_.rotation() != nullptr) {
      rotate(RotateSide::query, queries_, layer_.size().heads);
      rotate(RotateSide::key, keys_, layer_.shape().kv_heads);
    }
    if (scheme_.score_bias() != nullptr) add_bias(*scheme_.score_bias());
    if (scheme_.row_bias() != nullptr) add_bias(*scheme_.row_bias());
  }

  bool is_worn() const noexcept override { return false; }

  // What is read and written; how much arithmetic it takes is the scheme's own affair.
  Work work() const override {
    double numbers = adds_to_embeddings_ ? static_cast<double>(embeddings_.size()) : 0;
    if (scheme_.rotation() != nullptr) numbers += static_cast<double>(queries_.size() + keys_.size());
    if (scheme_.score_bias() != nullptr || scheme_.row_bias() != nullptr) {
      double scores = 0;
      for (int first = 0; first < tokens_; first += kBlockRows)
        scores += static_cast<double>(block(first).size()) * seen_keys(block(first));  // whole tiles
      numbers += scores * layer_.size().heads;
    }
    return {.bytes = 2 * sizeof(float) * numbers};
  }
  double footprint() const override {
    return sizeof(float) *
           static_cast<double>(embeddings_.size() + queries_.size() + keys_.size() + rotated_.size() + scores_.size());
  }
  int tokens() const noexcept override { return tokens_; }
  double kept_rows() const override { return 0; }
  double kv_bytes() const override { return 0; }
  double kv_bytes_per_token() const override { return 0; }

 private:
  [[nodiscard]] std::int64_t query_width() const { return std::int64_t{layer_.size().heads} * layer_.shape().key_dim; }
  [[nodiscard]] std::int64_t key_width() const {
    return std::int64_t{layer_.shape().kv_heads} * layer_.shape().key_dim;
  }
  [[nodiscard]] std::vector<float> random(const char* name, std::int64_t width) const {
    std::vector<float> numbers(static_cast<std::size_t>(tokens_ * width));
    model::random_values(kSeed, name, 0, numbers, 1.0F);
    return numbers;
  }
  [[nodiscard]] std::span<const Position> positions() const {
    return std::span(key_positions_).last(static_cast<std::size_t>(tokens_));
  }
  // Queries of one block of the core.
  [[nodiscard]] std::span<const Position> block(int first) const {
    return positions().subspan(first, std::min(kBlockRows, tokens_ - first));
  }
  // Whole tiles up to that of the block's last query: later keys are never scored.
  [[nodiscard]] int seen_keys(std::span<const Position> queries) const {
    return std::min(context_, (queries.back() / kTileRows + 1) * kTileRows);
  }

  // rows [tokens, heads, key_dim]
  void rotate(RotateSide side, const std::vector<float>& rows, int heads) {
    const std::int64_t width = std::int64_t{heads} * layer_.shape().key_dim;
    parallel_for((tokens_ + kTokensOfTask - 1) / kTokensOfTask, kLongWork, [&](int task, WorkerSlot) {
      const int first = task * kTokensOfTask;
      const int count = std::min(kTokensOfTask, tokens_ - first);
      float* to = rotated_.data() + first * width;
      std::copy_n(rows.data() + first * width, count * width, to);
      rotate_columns(*scheme_.rotation(), {positions().subspan(first, count), context_, side}, layer_.shape(),
                     {to, {count, heads, layer_.shape().key_dim}});
    });
  }

  void add_bias(const ScoreHook& bias) {
    const int blocks = (tokens_ + kBlockRows - 1) / kBlockRows;
    parallel_for(layer_.size().heads * blocks, kLongWork, [&](int task, WorkerSlot slot) {
      const std::span<const Position> queries = block(task % blocks * kBlockRows);
      const std::span<const Position> keys(key_positions_);
      float* room = scores_.data() + static_cast<std::size_t>(slot) * kBlockRows * kTileRows;
      const int seen = seen_keys(queries);
      for (int first = 0; first < seen; first += kTileRows) {
        const int rows = std::min(kTileRows, seen - first);
        ScoreTile tile{.scores = {room,
                                  {1, static_cast<std::int64_t>(queries.size()), rows},
                                  {kBlockRows * kTileRows, kTileRows, 1}},
                       .query_positions = queries,
                       .key_positions = keys.subspan(first, rows),
                       .first_head = task / blocks};
        bias.apply(tile);
      }
    });
  }

  // Query by query, over the keys up to its own.
  void add_bias(const RowBias& bias) {
    const int heads = layer_.size().heads;
    parallel_for(heads * tokens_, kLongWork, [&](int task, WorkerSlot slot) {
      const int head = task % heads;
      const int token = task / heads;
      const Position at = positions()[token];
      QueryScores query{.scores = {scores_.data() + static_cast<std::size_t>(slot) * context_, {1, 1, at + 1}},
                        .key_positions = std::span(key_positions_).first(static_cast<std::size_t>(at) + 1),
                        .query_position = at,
                        .first_head = head,
                        .token = token,
                        .queries = {queries_.data() + (std::int64_t{token} * heads + head) * layer_.shape().key_dim,
                                    {1, 1, layer_.shape().key_dim}}};
      bias.add(query);
    });
  }

  experiment::LayerRun layer_;
  const PositionScheme& scheme_;
  bool adds_to_embeddings_;
  int context_;
  int tokens_;
  std::vector<Position> key_positions_;  // [context]; the chunk's are the last
  std::vector<float> embeddings_;        // [tokens, hidden_dim]
  std::vector<float> queries_, keys_;    // [tokens, heads or kv_heads, key_dim]
  std::vector<float> rotated_;           // of either
  std::vector<float> scores_;            // [threads, kBlockRows, kTileRows], or with a row bias [threads, context]
};

}  // namespace

std::unique_ptr<Kernel> make_position_kernel(const Registry& registry, const Entry& entry) {
  return std::make_unique<PositionKernel>(registry, entry);
}

}  // namespace attnlab::bench

#include "experiment/layer_run.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include <attnlab/error.h>
#include <attnlab/ops.h>

#include "experiment/feeding.h"
#include "experiment/model_source.h"
#include "model/random_weights.h"

namespace attnlab::experiment {
namespace {

// The layer in the middle: some policies treat the first layers, or the first and the last, differently from the rest,
// and where budgets change with depth, that of the middle is the mean.
constexpr int kLayers = 13;
constexpr int kLayer = 6;

model::ModelConfig config_of(const LayerSize& size) {
  model::ModelConfig config;
  config.hidden_dim = size.hidden_dim;
  config.layers = kLayers;
  config.intermediate_dim = size.hidden_dim;
  config.heads = size.heads;
  config.kv_heads = size.kv_heads;
  config.head_dim = size.head_dim;
  config.vocab_size = 2;
  config.max_positions = size.context;
  config.rms_norm_eps = 1e-5F;
  config.rope_theta = 10000;
  return config;
}

// Rows of one tile that a query sees by one rule.
class Sight {
 public:
  explicit Sight(const MaskRule* rule) : rule_(rule) {}

  // Sets the scores of rows that are not seen to -infinity.
  void apply(Position query, const KvTile& tile, std::span<float> scores) const {
    if (rule_ == nullptr) return;
    const MaskRule::Cover cover = rule_->cover({query, query}, tile.range);
    if (cover == MaskRule::Cover::full) return;
    if (cover == MaskRule::Cover::none) {
      std::fill(scores.begin(), scores.end(), -std::numeric_limits<float>::infinity());
      return;
    }
    ScoreTile all{.scores = {scores.data(), {1, 1, static_cast<std::int64_t>(scores.size())}},
                  .query_positions = {&query, 1},
                  .key_positions = tile.positions};
    rule_->mask(all);
  }

 private:
  const MaskRule* rule_;
};

// Pairs of a query of the chunk and a row of one kv head that it sees.
double seen_pairs(const KvSource& source, const ChunkView& chunk, int kv_head, TileScratch& scratch) {
  const CausalMask causal;
  const Sight sights[] = {Sight(&causal), Sight(source.visibility(0))};
  std::array<float, kTileRows> room;
  double pairs = 0;
  for (int index = 0; index < source.tiles(0, kv_head); ++index) {
    const KvTile tile = source.tile(0, kv_head, index, scratch);
    const std::span<float> scores(room.data(), tile.positions.size());
    for (const Position position : chunk.positions) {
      std::fill(scores.begin(), scores.end(), 0.0F);
      for (const Sight& sight : sights) sight.apply(std::min(position, tile.query_cap), tile, scores);
      pairs += static_cast<double>(std::ranges::count(scores, 0.0F));
    }
  }
  return pairs;
}

}  // namespace

void attend_cached(const LayerContext& layer, TensorView<const float, 3> queries, TensorView<float, 3> out) {
  const ScoreHook* bias = layer.position.score_bias();
  const CausalMask causal;
  attnlab::attend({.queries = queries,
                   .chunk = layer.chunk,
                   .source = layer.cache,
                   .scale = 1.0F / std::sqrt(static_cast<float>(queries.extent(2))),
                   .rotation = layer.position.rotation(),
                   .hooks = {&bias, bias == nullptr ? 0U : 1U},
                   .mask = causal},
                  out);
}

LayerRun::LayerRun(const Registry& registry, const Composition& parts, const LayerSize& size, std::uint64_t seed)
    : size_(size) {
  const ModelSource source = ModelSource::from_seed(config_of(size));
  Arm arm;
  arm.attention.base = parts.attention;
  arm.position.base = parts.position;
  arm.cache.base = parts.cache;
  const ResolvedArm resolved = resolve_arm(arm, source.config(), registry);
  if (!resolved.conflicts.empty()) throw Error("", resolved.conflicts.front());
  const ResolvedLayer& chosen = resolved.layers[kLayer];
  attention_traits_ = registry.traits(*chosen.attention.descriptor, chosen.attention.options);
  SharedSchemes schemes;
  components_ = make_components(chosen, registry, source.config(), kLayer, seed, schemes);
  model::WeightStore weights = source.weights(seed, false);
  model::SharedParameters shared;
  parameters_ = model::bind_parameters(components_, "model.layers.6.self_attn.", weights, shared);
  shape_ = components_.attention->kv_shape();
  cache_ = model::make_cache(components_,
                             {.layer = kLayer, .layers = kLayers, .heads = size.heads, .capacities = {size.context}});
  state_.resize(static_cast<std::size_t>(components_.attention->state_floats()));

  const auto numbers = [&](std::vector<float>& values, const char* name, std::int64_t width) {
    values.resize(static_cast<std::size_t>(kPrefillChunk * width));
    model::random_values(seed, name, 0, values, 1.0F);
  };
  numbers(hidden_, "hidden", size.hidden_dim);
  numbers(block_out_, "out", size.hidden_dim);
  numbers(queries_, "queries", std::int64_t{size.heads} * shape_.key_dim);
  numbers(keys_, "keys", std::int64_t{shape_.kv_heads} * shape_.key_dim);
  numbers(values_, "values", std::int64_t{shape_.kv_heads} * shape_.value_dim);
  numbers(rows_out_, "rows", std::int64_t{size.heads} * shape_.value_dim);
  positions_.reserve(kPrefillChunk);
}

LayerRun::~LayerRun() = default;

const ChunkView& LayerRun::next_chunk(int tokens, Phase phase) {
  ATTNLAB_CHECK(tokens <= kPrefillChunk, "more tokens than a chunk has");
  positions_.resize(tokens);
  std::iota(positions_.begin(), positions_.end(), length_);
  offsets_[1] = tokens;
  phase_ = phase;
  chunk_length_ = length_ + tokens;
  chunk_ = {offsets_, positions_, {&phase_, 1}, {&chunk_length_, 1}};
  return chunk_;
}

void LayerRun::fill(int tokens, int prompt_tokens) {
  cache_->clear(0);
  std::fill(state_.begin(), state_.end(), 0.0F);
  length_ = 0;
  while (length_ < tokens) {
    const int count = std::min(kPrefillChunk, tokens - length_);
    const ChunkView& chunk = next_chunk(count, length_ + count == prompt_tokens ? Phase::last_prefill : Phase::prefill);
    chunk_length_ = prompt_tokens;
    if (shape_.kv_heads > 0) {  // else a state, whose size does not depend on the tokens before
      cache_->append(chunk, {keys_.data(), {count, shape_.kv_heads, shape_.key_dim}},
                     {values_.data(), {count, shape_.kv_heads, shape_.value_dim}});
      // What a policy decides at the end of the prompt, it decides by what it was shown of the attention.
      const bool watches = cache_->mass_sink() != nullptr || cache_->query_sink() != nullptr;
      if (watches && length_ + count == prompt_tokens) attend(chunk);
    }
    end(chunk);
  }
}

LayerContext LayerRun::context(const ChunkView& chunk) {
  return {.chunk = chunk,
          .cache = *cache_,
          .position = *components_.position,
          .scratch = scratch_,
          .state = {state_.data(), {1, static_cast<std::int64_t>(state_.size())}}};
}

void LayerRun::append(const ChunkView& chunk) {
  append_rows(context(chunk), {keys_.data(), {chunk.tokens(), shape_.kv_heads, shape_.key_dim}},
              {values_.data(), {chunk.tokens(), shape_.kv_heads, shape_.value_dim}});
}

void LayerRun::attend(const ChunkView& chunk) {
  attend_cached(context(chunk), {queries_.data(), {chunk.tokens(), size_.heads, shape_.key_dim}},
                {rows_out_.data(), {chunk.tokens(), size_.heads, shape_.value_dim}});
}

void LayerRun::end(const ChunkView& chunk) {
  cache_->end_chunk(chunk);
  length_ += chunk.tokens();
}

void LayerRun::feed_hidden(int tokens, Phase phase) {
  const ChunkView& chunk = next_chunk(tokens, phase);
  const Scratch::Scope scope(scratch_);
  components_.attention->forward(context(chunk), {hidden_.data(), {tokens, size_.hidden_dim}},
                                 {block_out_.data(), {tokens, size_.hidden_dim}});
  end(chunk);
}

void LayerRun::feed_rows(int tokens, Phase phase) {
  const ChunkView& chunk = next_chunk(tokens, phase);
  append(chunk);
  attend(chunk);
  end(chunk);
}

double LayerRun::feed_rows_counting(int tokens, Phase phase) {
  const ChunkView& chunk = next_chunk(tokens, phase);
  append(chunk);
  std::vector<float> keys(static_cast<std::size_t>(shape_.key_dim) * kTileRows + 16);
  std::vector<float> values(static_cast<std::size_t>(shape_.value_dim) * kTileRows + 16);
  std::vector<Position> positions(kTileRows);
  const auto aligned = [](std::vector<float>& room) {
    const auto address = reinterpret_cast<std::uintptr_t>(room.data());
    return std::span(room).subspan((64 - address % 64) % 64 / sizeof(float), room.size() - 16);
  };
  TileScratch scratch{aligned(keys), aligned(values), positions};
  double pairs = 0;
  for (int head = 0; head < shape_.kv_heads; ++head) pairs += seen_pairs(*cache_, chunk, head, scratch);
  attend(chunk);
  end(chunk);
  return pairs * size_.heads / shape_.kv_heads;
}

double LayerRun::live_rows() const noexcept {
  double rows = 0;
  for (int head = 0; head < shape_.kv_heads; ++head) rows += cache_->rows(0, head);
  return rows;
}

}  // namespace attnlab::experiment

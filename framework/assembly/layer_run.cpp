#include "assembly/layer_run.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "assembly/feeding.h"
#include "assembly/model_source.h"
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
  // A latent cache has widths of its own; these are the published ones, for heads of this width.
  config.latent_dims = {{"kv_lora_rank", 4 * size.head_dim},
                        {"qk_nope_head_dim", size.head_dim},
                        {"qk_rope_head_dim", size.head_dim / 2},
                        {"v_head_dim", size.head_dim}};
  return config;
}

}  // namespace

LayerRun::LayerRun(const Registry& registry, const Composition& parts, const LayerSize& size, std::uint64_t seed)
    : size_(size) {
  const ModelSource source = ModelSource::from_seed(config_of(size));
  Arm arm;
  arm.attention.base = parts.attention;
  arm.position.base = parts.position;
  arm.cache.base = parts.cache;
  const ResolvedArm resolved = resolve_arm(arm, source.config(), registry);
  if (!resolved.conflicts.empty()) throw Error("", resolved.conflicts.front());
  SharedSchemes schemes;
  const auto make = [&](int layer) {
    components_ = make_components(resolved.layers[layer], registry, source.config(), layer, seed, schemes);
  };
  make(kLayer);
  // Rows of its own are what is driven here, so of layers that share them the one that has them.
  if (const int of = components_.attention->kv_layer(); of >= 0 && of < kLayer) make(of);
  steps_.set_lone_layer();
  model::WeightStore weights = source.weights(seed, false);
  model::SharedParameters shared;
  parameters_ = model::bind_parameters(components_, fmt::format("model.layers.{}.self_attn.", kLayer), weights, shared);
  shape_ = components_.attention->kv_shape();
  cache_ = model::make_cache(components_, {.layer = kLayer,
                                           .layers = kLayers,
                                           .caches = kLayers,
                                           .cache = kLayer,
                                           .heads = size.heads,
                                           .capacities = {size.context}});
  given_ = std::make_unique<GivenAttention>(shape_, size.heads);
  const AttentionVariant& attention = *components_.attention;
  state_.resize(static_cast<std::size_t>(attention.state_floats() + attention.summary_floats(size.context)));

  const auto numbers = [&](std::vector<float>& values, const char* name, std::int64_t width) {
    values.resize(static_cast<std::size_t>(kPrefillChunk * width));
    model::random_values(seed, name, 0, values, 1.0F);
  };
  numbers(hidden_, "hidden", size.hidden_dim);
  numbers(queries_, "queries", std::int64_t{size.heads} * shape_.key_dim);
  numbers(keys_, "keys", std::int64_t{shape_.kv_heads} * shape_.key_dim);
  numbers(values_, "values", std::int64_t{shape_.kv_heads} * shape_.value_dim);
  numbers(out_, "out", std::max<std::int64_t>(size.hidden_dim, std::int64_t{size.heads} * shape_.value_dim));
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
  while (length_ < tokens - 1) {
    const ChunkView& chunk = next_chunk(std::min(kPrefillChunk, tokens - 1 - length_), Phase::prefill);
    const int count = chunk.tokens();
    chunk_length_ = prompt_tokens;
    if (shape_.kv_heads == 0) {  // a state, whose size does not depend on the tokens before
      length_ += count;
      continue;
    }
    // What a policy decides at the end of the prompt, it decides by what it was shown of the attention.
    given_->set_attends(GivenAttention::Attends::where_watched);
    run_rows(steps_, chunk);
    given_->set_attends(GivenAttention::Attends::always);
  }
  if (tokens == 0) return;
  // Its own attention sees the last token: what it computes once of all rows before a token is no part of a step.
  const ChunkView& chunk = next_chunk(1, tokens == prompt_tokens ? Phase::last_prefill : Phase::prefill);
  chunk_length_ = prompt_tokens;
  run(steps_, *components_.attention, chunk, size_.hidden_dim);
}

void LayerRun::run(ModelSteps& steps, AttentionVariant& attention, const ChunkView& chunk, std::int64_t out_width) {
  steps.begin_pass();
  run_layer(steps, attention,
            {.chunk = chunk,
             .cache = *cache_,
             .position = *components_.position,
             .state = {state_.data(), {1, static_cast<std::int64_t>(state_.size())}}},
            {hidden_.data(), {chunk.tokens(), size_.hidden_dim}}, {out_.data(), {chunk.tokens(), out_width}});
  length_ += chunk.tokens();
}

void LayerRun::run_hidden(ModelSteps& steps, int tokens, Phase phase) {
  run(steps, *components_.attention, next_chunk(tokens, phase), size_.hidden_dim);
}

void LayerRun::run_rows(ModelSteps& steps, const ChunkView& chunk) {
  const int tokens = chunk.tokens();
  given_->give({queries_.data(), {tokens, size_.heads, shape_.key_dim}},
               {keys_.data(), {tokens, shape_.kv_heads, shape_.key_dim}},
               {values_.data(), {tokens, shape_.kv_heads, shape_.value_dim}});
  run(steps, *given_, chunk, std::int64_t{size_.heads} * shape_.value_dim);
}

void LayerRun::feed_hidden(int tokens, Phase phase) {
  run_hidden(steps_, tokens, phase);
}

void LayerRun::feed_rows(int tokens, Phase phase) {
  run_rows(steps_, next_chunk(tokens, phase));
}

StepCounts LayerRun::count_hidden(int tokens, Phase phase) {
  CountingSteps steps(scratch_, [&](int) { return row_bytes(); });
  steps.set_lone_layer();
  run_hidden(steps, tokens, phase);
  return steps.counts();
}

StepCounts LayerRun::count_rows(int tokens, Phase phase) {
  CountingSteps steps(scratch_, [&](int) { return row_bytes(); });
  steps.set_lone_layer();
  run_rows(steps, next_chunk(tokens, phase));
  return steps.counts();
}

double LayerRun::live_rows() const noexcept {
  double rows = 0;
  for (int head = 0; head < shape_.kv_heads; ++head) rows += cache_->rows(0, head);
  return rows;
}

}  // namespace attnlab::experiment

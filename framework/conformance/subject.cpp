#include "conformance/subject.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <attnlab/error.h>
#include <attnlab/random.h>

#include "assembly/feeding.h"
#include "assembly/model_source.h"

namespace attnlab::experiment::conformance {
namespace {

constexpr int kVocab = 97;
constexpr int kCapacity = 512;

// Small, but with everything in the plural: layers, groups, more than one tile of rows in the longer runs. Weights are
// large enough for attention that is not uniform.
model::ModelConfig small_model() {
  model::ModelConfig config;
  config.hidden_dim = 64;
  config.layers = 2;
  config.intermediate_dim = 48;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = kVocab;
  config.max_positions = kCapacity;
  config.rms_norm_eps = 1e-5F;
  config.rope_theta = 10000;
  config.initializer_range = 0.2;
  config.tie_word_embeddings = true;
  config.latent_dims = {{"kv_lora_rank", 24}, {"qk_nope_head_dim", 16}, {"qk_rope_head_dim", 8}, {"v_head_dim", 12}};
  return config;
}

void append(Hidden& all, TensorView<const float, 2> rows) {
  for (std::int64_t row = 0; row < rows.extent(0); ++row)
    all.insert(all.end(), rows.row(row).begin(), rows.row(row).end());
}

void fill_zeros(model::Decoder& decoder) {
  constexpr float kLargest = 0.5F;
  std::uint64_t place = 0;
  for (const model::ParameterPlace& one : decoder.parameters()) {
    SplitMix64 random(13, ++place);
    if (std::ranges::all_of(one.values, [](float value) { return value == 0; }))
      for (float& value : one.values) value = kLargest * static_cast<float>(2 * random.uniform() - 1);
  }
  decoder.refresh();
}

}  // namespace

std::vector<model::TokenId> tokens(int count, std::uint64_t seed) {
  return spread_tokens(count, kVocab, seed);
}

double deviation(const Hidden& found, const Hidden& right) {
  if (found.size() != right.size()) return std::numeric_limits<double>::infinity();
  double largest = 1e-3, difference = 0;
  for (std::size_t i = 0; i < right.size(); ++i) {
    if (!std::isfinite(found[i]) || !std::isfinite(right[i])) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(static_cast<double>(right[i])));
    difference = std::max(difference, std::abs(static_cast<double>(found[i]) - right[i]));
  }
  return difference / largest;
}

Subject::Subject(const Registry& registry, const Composition& parts, bool fills_zeros)
    : registry_(registry), parts_(parts) {
  const ModelSource source = ModelSource::from_seed(small_model());
  Arm arm;
  arm.attention.base = parts.attention;
  arm.position.base = parts.position;
  arm.cache.base = parts.cache;
  arm_ = resolve_arm(arm, source.config(), registry);
  if (!arm_.conflicts.empty()) throw Error(name(), arm_.conflicts.front());
  decoder_ = std::make_unique<model::Decoder>(build_decoder(arm_, source, registry, {.seed = 11}));
  if (fills_zeros) fill_zeros(*decoder_);
}

std::string Subject::name() const {
  return parts_.attention.id + "/" + parts_.position.id + "/" + parts_.cache.id;
}

Traits Subject::traits(Kind kind) const {
  const ResolvedLayer& layer = arm_.layers.front();
  if (kind == Kind::storage) return layer.cache.rows->traits();
  const ResolvedComponent& component = kind == Kind::attention  ? layer.attention
                                       : kind == Kind::position ? layer.position
                                                                : layer.cache;
  return registry_.traits(*component.descriptor, component.options);
}

Subject Subject::with_cache(ComponentChoice cache) const {
  Composition parts = parts_;
  parts.cache = std::move(cache);
  return {registry_, parts};
}

Hidden Subject::run(std::span<const model::TokenId> prompt, std::span<const model::TokenId> steps, int piece) {
  model::Session session = decoder_->make_session(1, kCapacity);
  Hidden all;
  const int size = piece == 0 ? std::max<int>(1, static_cast<int>(prompt.size())) : piece;
  feed_prompt(*decoder_, session, 0, prompt, size,
              [&](int, TensorView<const float, 2> hidden) { append(all, hidden); });
  for (const model::TokenId& token : steps) {
    const model::SequenceTokens fed{.sequence = 0, .tokens = {&token, 1}, .phase = Phase::decode};
    append(all, decoder_->forward(session, {&fed, 1}));
  }
  return all;
}

std::vector<Hidden> Subject::run_batch(const std::vector<std::vector<model::TokenId>>& prompts,
                                       const std::vector<std::vector<model::TokenId>>& steps) {
  const int sequences = static_cast<int>(prompts.size());
  model::Session session = decoder_->make_session(sequences, kCapacity);
  std::vector<Hidden> all(sequences);
  const auto feed = [&](const std::vector<model::SequenceTokens>& fed) {
    const auto hidden = decoder_->forward(session, fed);
    std::int64_t row = 0;
    for (const model::SequenceTokens& one : fed) {
      const auto count = static_cast<std::int64_t>(one.tokens.size());
      append(all[one.sequence], hidden.slice(row, count));
      row += count;
    }
  };
  std::vector<model::SequenceTokens> fed;
  for (int sequence = 0; sequence < sequences; ++sequence)
    fed.push_back({.sequence = sequence,
                   .tokens = prompts[sequence],
                   .phase = Phase::last_prefill,
                   .prompt_length = static_cast<int>(prompts[sequence].size())});
  feed(fed);
  std::size_t longest = 0;
  for (const auto& each : steps) longest = std::max(longest, each.size());
  for (std::size_t step = 0; step < longest; ++step) {
    fed.clear();
    for (int sequence = 0; sequence < sequences; ++sequence)
      if (step < steps[sequence].size())
        fed.push_back({.sequence = sequence, .tokens = {&steps[sequence][step], 1}, .phase = Phase::decode});
    feed(fed);
  }
  return all;
}

}  // namespace attnlab::experiment::conformance

#include "assembly/arm_cost.h"

#include <algorithm>
#include <optional>
#include <span>

#include "assembly/feeding.h"
#include "steps/counting_steps.h"

namespace attnlab::experiment {
namespace {

constexpr int kPiece = 16;  // tokens of each of two pieces of a prompt
constexpr int kSteps = 3;   // that are counted after it
constexpr int kEndless = std::numeric_limits<int>::max();

double ratio(double numerator, double denominator) {
  return denominator > 0 ? numerator / denominator : 0;
}

// What was counted in one pass, and where.
struct CountedPass {
  std::vector<StepCounts> layers;
  double tokens = 0;
  double rows = 0;  // of the sequence after it
};

// Passes of one sequence, one after the other.
class Passes {
 public:
  Passes(model::Decoder& decoder, int length) : decoder_(decoder), most_(2 * kPiece + kSteps) {
    for (int layer = 0; layer < decoder.config().layers; ++layer)
      if (const Position limit = decoder.position(layer).max_positions(); limit > 0) most_ = std::min(most_, limit);
    if (length > 2 * kSteps) most_ = std::min(most_, length);
    piece_ = std::clamp((most_ - kSteps) / 2, 1, kPiece);
    session_.emplace(decoder.make_session(1, std::max(length, most_)));
  }

  CountedPass prompt(bool ends) { return pass(piece_, ends ? Phase::last_prefill : Phase::prefill); }
  CountedPass step() { return pass(1, Phase::decode); }
  StepCounts logits() {
    CountingSteps steps = counting();
    const model::WithSteps with(decoder_, steps);
    const std::vector<float> hidden(decoder_.config().hidden_dim, 1.0F);
    std::vector<float> logits(decoder_.config().vocab_size);
    decoder_.logits({hidden.data(), {1, std::ssize(hidden)}}, {logits.data(), {1, std::ssize(logits)}});
    return steps.counts();
  }

 private:
  [[nodiscard]] CountingSteps counting() {
    return {decoder_.scratch(), [this](int layer) { return decoder_.row_bytes(layer); }, CountedProducts::ones};
  }

  CountedPass pass(int tokens, Phase phase) {
    if (session_->length(0) + tokens > most_) session_->clear();  // a model of very few positions
    CountingSteps steps = counting();
    const model::WithSteps with(decoder_, steps);
    const std::vector<model::TokenId> ids(tokens, 0);
    const model::SequenceTokens fed{
        .sequence = 0, .tokens = ids, .phase = phase, .prompt_length = phase == Phase::decode ? 0 : 2 * piece_};
    (void)decoder_.forward(*session_, {&fed, 1});
    CountedPass counted{{steps.of_layers().begin(), steps.of_layers().end()},
                        static_cast<double>(tokens),
                        static_cast<double>(session_->length(0))};
    counted.layers.resize(decoder_.config().layers);
    return counted;
  }

  model::Decoder& decoder_;
  int most_, piece_ = 1;
  std::optional<model::Session> session_;
};

// From passes of a phase over as many tokens each, over more and more rows.
PassCost pass_cost(std::span<const CountedPass> passes, std::size_t layer, int kv_heads) {
  const CountedPass& last = passes.back();
  const StepCounts& counts = last.layers[layer];
  // What grows with the rows does so in every pass. What is done once in a while (the mean of a block) does not count.
  const auto per_row = [&](double StepCounts::*part) {
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i < passes.size(); ++i)
      least = std::min(least, ratio(passes[i].layers[layer].*part - passes[i - 1].layers[layer].*part,
                                    passes[i].rows - passes[i - 1].rows));
    return std::max(0.0, least);
  };
  PassCost cost;
  cost.weights_per_row = per_row(&StepCounts::weight_multiply_adds);
  cost.weights_per_token = (counts.weight_multiply_adds - cost.weights_per_row * last.rows) / last.tokens;
  cost.heads = counts.queries / last.tokens;
  cost.per_pair = ratio(counts.attention_multiply_adds - counts.own_multiply_adds, counts.pairs);
  for (const CountedPass& pass : passes)
    cost.own_per_token += pass.layers[layer].own_multiply_adds / pass.tokens / static_cast<double>(passes.size());
  cost.weight_bytes = counts.weight_bytes;
  cost.cached_bytes = kv_heads * ratio(counts.cached_bytes, counts.rows_read);
  cost.made_bytes = per_row(&StepCounts::state_bytes);
  cost.state_bytes = counts.state_bytes - cost.made_bytes * last.rows;
  return cost;
}

}  // namespace

double row_bytes(const model::Decoder& decoder) {
  double bytes = 0;
  for (int layer = 0; layer < decoder.config().layers; ++layer) {
    const AttentionVariant& attention = decoder.attention(layer);
    const int kv_heads = attention.kv_shape().kv_heads;
    const int of = attention.kv_layer();
    if (kv_heads > 0 && (of < 0 || of == layer)) bytes += kv_heads * decoder.row_bytes(layer);
  }
  return bytes;
}

ArmCost cost_of(model::Decoder& decoder, int length) {
  Passes passes(decoder, length);
  std::vector<CountedPass> prompt, steps;
  prompt.push_back(passes.prompt(false));
  prompt.push_back(passes.prompt(true));
  while (steps.size() < kSteps) steps.push_back(passes.step());
  const StepCounts head = passes.logits();
  ArmCost cost{
      .head_weights = head.weight_multiply_adds, .head_bytes = head.weight_bytes, .row_bytes = row_bytes(decoder)};
  for (int layer = 0; layer < decoder.config().layers; ++layer) {
    const AttentionVariant& attention = decoder.attention(layer);
    const int kv_heads = attention.kv_shape().kv_heads;
    cost.layers.push_back({.prefill = pass_cost(prompt, layer, kv_heads),
                           .decode = pass_cost(steps, layer, kv_heads),
                           .visible_rows = attention.visible_rows()});
  }
  (void)decoder.take_nonfinite();  // of rows that are no output
  return cost;
}

std::vector<KeptRows> kept_rows(const ResolvedArm& arm, const Registry& registry, model::Session& session) {
  std::vector<KeptRows> kept(arm.layers.size());
  for (int layer = 0; layer < session.layers(); ++layer) {
    if (session.shape(layer).kv_heads == 0) continue;
    const LayerCache& cache = session.cache(layer);
    int most = 0;
    for (int sequence = 0; sequence < session.sequences(); ++sequence)
      most = std::max(most, cache.row_limit(sequence, kEndless));
    if (most == kEndless) continue;
    const ResolvedComponent& chosen = arm.layers[layer].cache;
    const FeatureSet provides = registry.traits(*chosen.descriptor, chosen.options).provides;
    kept[layer] = {static_cast<double>(most), provides.has(Feature::evicts_after_prompt_only),
                   cache.visibility(0) != nullptr};
  }
  return kept;
}

double state_bytes(const model::Decoder& decoder, int length) {
  double bytes = 0;
  for (int layer = 0; layer < decoder.config().layers; ++layer) {
    const AttentionVariant& attention = decoder.attention(layer);
    bytes += sizeof(float) * static_cast<double>(attention.state_floats() + attention.summary_floats(length));
  }
  return bytes;
}

}  // namespace attnlab::experiment

#include "model/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include <attnlab/error.h>

#include "model/decoder_parts.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab::model {
namespace {

constexpr int kRowsOfTask = 16;

Work work_of(TensorView<const float, 2> rows) {
  return Work::numbers(static_cast<double>(rows.elements()));
}

// NaN or Inf anywhere; rows in parallel.
bool has_nonfinite(TensorView<const float, 2> rows) {
  std::atomic<bool> found = false;
  const int tasks = static_cast<int>((rows.extent(0) + kRowsOfTask - 1) / kRowsOfTask);
  parallel_for(tasks, work_of(rows), [&](int task, WorkerSlot) {
    const std::int64_t first = static_cast<std::int64_t>(task) * kRowsOfTask;
    const std::int64_t end = std::min(first + kRowsOfTask, rows.extent(0));
    std::uint32_t largest = 0;  // by magnitude: the order of floats is that of their bits
    for (std::int64_t row = first; row < end; ++row)
      for (const float value : rows.row(row))
        largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7fffffffU);
    if (largest >= 0x7f800000U) found.store(true, std::memory_order_relaxed);
  });
  return found;
}

TensorView<float, 3> one_head(TensorView<float, 2> rows) {
  return {rows.data(), {rows.extent(0), 1, rows.extent(1)}, {rows.stride(0), rows.stride(0), 1}};
}

// Nothing where the factor is 1, as it is in most models.
void scale_rows(ModelSteps& steps, double factor, TensorView<float, 2> rows) {
  if (factor == 1) return;
  const float factors[] = {static_cast<float>(factor), 0};
  steps.blend(one_head(rows), factors, one_head(rows));
}

void cap_rows(float cap, TensorView<float, 2> rows) {
  parallel_for(static_cast<int>(rows.extent(0)), work_of(rows),
               [&](int row, WorkerSlot) { vec::softcap(rows.row(row), cap); });
}

}  // namespace

std::unique_ptr<LayerCache> make_cache(const LayerComponents& components, const CachePlace& place) {
  const KvShape shape = components.attention->kv_shape();
  const auto sequences = static_cast<int>(place.capacities.size());
  const int longest = *std::max_element(place.capacities.begin(), place.capacities.end());
  LayerCacheContext context{.layer = place.layer,
                            .layers = place.layers,
                            .caches = place.caches,
                            .cache = place.cache,
                            .sequences = sequences,
                            .capacities = place.capacities,
                            .heads = place.heads,
                            .shape = shape,
                            .key_form = components.key_form,
                            .rotation = components.position->rotation(),
                            .row_bytes = components.row_bytes(shape),
                            .seed = components.seed};
  // By value: a policy may keep the context, and make rows when it needs them.
  context.list_bytes = [bytes = components.list_bytes, shape](int rows) { return bytes(shape, rows); };
  context.make_rows = [make = components.make_rows, shape, sequences, longest] {
    return make(shape, sequences, longest);
  };
  auto cache = components.cache->create(context);
  if (cache == nullptr) throw Error("", "a cache policy made no cache", "its create() must not return null");
  return cache;
}

Decoder::Decoder(const ModelConfig& config, std::vector<LayerComponents> layers, WeightStore weights,
                 bool replaced_attention)
    : config_(config), work_(std::make_unique<Work>()) {
  ATTNLAB_CHECK(static_cast<int>(layers.size()) == config.layers, "components for another number of layers");
  layers_.reserve(layers.size());
  for (LayerComponents& components : layers) {
    layers_.emplace_back();
    layers_.back().components = std::move(components);
  }
  link_layers();
  load(weights, replaced_attention);
}

// Which layer's rows each layer reads, and which reader is the last.
void Decoder::link_layers() {
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    const auto layer = static_cast<int>(index);
    const AttentionVariant& attention = *layers_[index].components.attention;
    const int of = attention.kv_layer();
    layers_[index].kv_layer = of < 0 ? layer : of;
    if (of < 0 || of == layer) continue;
    const auto refuse = [&](const char* why) {
      throw Error("", fmt::format("layer {} reads the rows of layer {}, {}", layer, of, why),
                  "schedule an earlier layer of the same attention there, with the same heads");
    };
    if (of > layer) refuse("which comes later");
    if (layers_[of].kv_layer != of) refuse("which has none of its own");
    const KvShape own = attention.kv_shape();
    const KvShape read = layers_[of].components.attention->kv_shape();
    if (own.kv_heads != read.kv_heads || own.key_dim != read.key_dim || own.value_dim != read.value_dim ||
        own.value_is_key_prefix != read.value_is_key_prefix)
      refuse("which have another shape");
    for (int reader = of; reader < layer; ++reader)
      if (layers_[reader].kv_layer == of) layers_[reader].ends_rows = false;
  }
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

void Decoder::load(WeightStore& weights, bool replaced_attention) {
  const std::int64_t hidden = config_.hidden_dim;
  const std::int64_t vocab = config_.vocab_size;
  const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    const std::int64_t shape[] = {out, in};
    return std::make_unique<Matrix>(weights.matrix(name, shape));
  };

  // Absent key: tied where there is no head; explicit false without a head is a missing tensor. A head that is stored
  // beside a tied embedding and differs from it is what the model was saved with, so it counts, as in transformers 5.
  bool tied = config_.tie_word_embeddings.value_or(!weights.is_random() && !weights.has("lm_head.weight"));
  if (tied && weights.holds_different("lm_head.weight", "model.embed_tokens.weight")) {
    tied = false;
    weights.note(
        "tie_word_embeddings is true, but the stored lm_head.weight differs from the embedding: the stored head is "
        "used");
  }
  if (tied) {
    // The two are one tensor, under either name.
    const bool by_head = !weights.has("model.embed_tokens.weight") && weights.has("lm_head.weight");
    head_ = matrix(by_head ? "lm_head.weight" : "model.embed_tokens.weight", vocab, hidden);
  } else {
    const std::int64_t shape[] = {vocab, hidden};
    embedding_ = weights.table("model.embed_tokens.weight", shape, embedding_type_);
    head_ = matrix("lm_head.weight", vocab, hidden);
  }
  SharedParameters shared;
  std::vector<std::string> ignored;
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    Layer& layer = layers_[index];
    const std::string prefix = fmt::format("model.layers.{}.", index);
    layer.parameters = bind_parameters(layer.components, prefix + "self_attn.", weights, shared);
    if (config_.has_experts(static_cast<int>(index)))
      layer.experts.load(config_, prefix + "mlp.", weights);
    else
      layer.mlp.load(config_, config_.intermediate_dim, prefix + "mlp.", weights);
    layer.norms.load(config_, prefix, layer.has_mlp(), weights);
    if (replaced_attention) ignored.push_back(prefix + "self_attn.");
  }
  final_norm_.load(config_, "model.norm", weights);
  if (tied && weights.has("lm_head.weight")) ignored.emplace_back("lm_head.weight");  // a copy of the embedding
  weights.check_all_used(ignored);
  notes_ = weights.notes();
  held_weights_ = weights.held();
}

std::size_t Decoder::weight_bytes() const noexcept {
  std::size_t sum = embedding_.size() + head_->bytes() + final_norm_.bytes();
  for (const Layer& layer : layers_)
    sum += layer.norms.bytes() + layer.parameters->bytes() + layer.mlp.bytes() + layer.experts.bytes();
  return sum;
}

const AttendTime& Decoder::attend_time() const noexcept {
  return work_->steps.attend_time();
}

void Decoder::attend_in(Arithmetic arithmetic) noexcept {
  work_->steps.attend_in(arithmetic);
}

ModelSteps* Decoder::use_steps(ModelSteps* steps) noexcept {
  if (steps != nullptr) steps->attend_in(work_->steps.attends_in());
  return std::exchange(work_->others, steps);
}

Scratch& Decoder::scratch() noexcept {
  return work_->scratch;
}

double Decoder::row_bytes(int layer) const {
  const LayerComponents& components = layers_[layers_[layer].kv_layer].components;
  return components.row_bytes(components.attention->kv_shape());
}

double Decoder::row_step(int layer) const {
  return layers_[layers_[layer].kv_layer].components.row_step;
}

const PositionScheme& Decoder::position(int layer) const noexcept {
  return *layers_[layer].components.position;
}

const AttentionVariant& Decoder::attention(int layer) const noexcept {
  return *layers_[layer].components.attention;
}

std::int64_t Decoder::state_floats(int layer) const noexcept {
  return layers_[layer].components.attention->state_floats();
}

Session Decoder::make_session(int sequences, int capacity) const {
  return make_session(std::vector<int>(static_cast<std::size_t>(sequences), capacity));
}

Session Decoder::make_session(std::span<const int> capacities) const {
  const auto sequences = static_cast<int>(capacities.size());
  Session session;
  session.lengths_.resize(sequences);
  session.halfway_.resize(sequences);
  for (int sequence = 0; sequence < sequences; ++sequence) session.histories_.push_back(Session::next_history());
  const int longest = sequences == 0 ? 0 : *std::ranges::max_element(capacities);
  const auto keeps_rows = [&](std::size_t index) {
    return layers_[index].kv_layer == static_cast<int>(index) &&
           layers_[index].components.attention->kv_shape().kv_heads > 0;
  };
  int caches = 0, cache = 0;
  for (std::size_t index = 0; index < layers_.size(); ++index) caches += keeps_rows(index) ? 1 : 0;
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    const LayerComponents& components = layers_[index].components;
    const int owner = layers_[index].kv_layer;
    session.cache_of_.push_back(owner == static_cast<int>(index) ? static_cast<int>(session.caches_.size())
                                                                 : session.cache_of_[owner]);
    if (session.owns_rows(static_cast<int>(index)))
      session.caches_.push_back(make_cache(components, {.layer = static_cast<int>(index),
                                                        .layers = config_.layers,
                                                        .caches = caches,
                                                        .cache = keeps_rows(index) ? cache++ : 0,
                                                        .heads = config_.heads,
                                                        .capacities = {capacities.begin(), capacities.end()}}));
    const AttentionVariant& attention = *components.attention;
    session.states_.emplace_back(static_cast<std::size_t>(sequences) *
                                 (attention.state_floats() + attention.summary_floats(longest)));
    session.has_state_.push_back(attention.state_floats() > 0);
  }
  return session;
}

void Decoder::check_positions(int length) const {
  for (const Layer& layer : layers_) {
    const Position limit = layer.components.position->max_positions();
    if (limit > 0 && length > limit)
      throw Error(
          "",
          fmt::format("a sequence of {} tokens is longer than the {} positions of the position scheme", length, limit),
          fmt::format("use at most {} tokens", limit));
  }
}

std::optional<std::string> Decoder::check_length(int length) const {
  check_positions(length);
  if (length > config_.max_positions)
    return fmt::format("a sequence of {} tokens is longer than the {} positions that the model was trained for", length,
                       config_.max_positions);
  return std::nullopt;
}

Embedding Decoder::embedding() const noexcept {
  if (embedding_.size() == 0) return {.tied = head_.get(), .vocab = config_.vocab_size};
  return {.table = embedding_.data(), .type = embedding_type_, .vocab = config_.vocab_size};
}

std::vector<ParameterPlace> Decoder::parameters() {
  const std::int64_t hidden = config_.hidden_dim, vocab = config_.vocab_size;
  std::vector<ParameterPlace> all;
  const auto matrix = [&](const std::string& name, Matrix& of) {
    all.push_back({name, {of.out_dim(), of.in_dim()}, &of});
  };
  if (embedding_.size() == 0) {
    matrix("model.embed_tokens.weight", *head_);
  } else {
    auto* table = reinterpret_cast<float*>(embedding_.data());
    if (embedding_type_ == ElementType::f32)
      all.push_back({.name = "model.embed_tokens.weight",
                     .shape = {vocab, hidden},
                     .values = {table, static_cast<std::size_t>(vocab * hidden)}});
    matrix("lm_head.weight", *head_);
  }
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    Layer& layer = layers_[index];
    const std::string prefix = fmt::format("model.layers.{}.", index);
    layer.norms.add_attention_places(config_, prefix, all);
    for (const ParameterPlace& place : layer.parameters->places()) all.push_back(place);
    layer.norms.add_mlp_places(config_, prefix, all);
    layer.mlp.add_places(prefix + "mlp.", all);
  }
  final_norm_.add_places("model.norm", all);
  return all;
}

void Decoder::refresh() {
  for (Layer& layer : layers_) {
    layer.components.attention->refresh();
    layer.components.position->refresh();
  }
}

// All that can be wrong with what is fed, before anything changes.
void Decoder::check_input(const Session& session, std::span<const SequenceTokens> input) const {
  for (const SequenceTokens& fed : input) {
    ATTNLAB_CHECK(fed.sequence >= 0 && fed.sequence < session.sequences(), "no such sequence");
    session.check_whole(fed.sequence);
    ATTNLAB_CHECK(std::ranges::count(input, fed.sequence, &SequenceTokens::sequence) == 1, "a sequence is fed twice");
    for (const TokenId token : fed.tokens)
      if (token < 0 || token >= config_.vocab_size)
        throw Error("", fmt::format("token id {} is outside the vocabulary of {}", token, config_.vocab_size));
    check_positions(session.lengths_[fed.sequence] + static_cast<int>(fed.tokens.size()));
  }
}

TensorView<const float, 2> Decoder::forward(Session& session, std::span<const SequenceTokens> input) {
  check_input(session, input);
  const int sequences = session.sequences();
  session.offsets_.assign(1, 0);
  session.positions_.clear();
  session.tokens_.clear();
  session.phases_.assign(sequences, Phase::decode);
  session.chunk_lengths_.assign(session.lengths_.begin(), session.lengths_.end());
  for (int sequence = 0; sequence < sequences; ++sequence) {
    for (const SequenceTokens& fed : input) {
      if (fed.sequence != sequence) continue;
      const Position start = session.lengths_[sequence];
      const auto end = static_cast<Position>(start + fed.tokens.size());
      for (Position position = start; position < end; ++position) session.positions_.push_back(position);
      session.tokens_.insert(session.tokens_.end(), fed.tokens.begin(), fed.tokens.end());
      session.phases_[sequence] = fed.phase;
      session.chunk_lengths_[sequence] = std::max(end, fed.prompt_length);
    }
    session.offsets_.push_back(static_cast<std::int32_t>(session.positions_.size()));
  }
  const ChunkView chunk{session.offsets_, session.positions_, session.phases_, session.chunk_lengths_};
  const int tokens = chunk.tokens();

  ModelSteps& steps = work_->current();
  steps.begin_pass();
  const Steps::Scope scope(steps);
  const int hidden_dim = config_.hidden_dim;
  auto x = steps.rows(tokens, hidden_dim);       // residual stream
  auto normed = steps.rows(tokens, hidden_dim);  // input of the next branch
  auto added = steps.rows(tokens, hidden_dim);   // output of the last branch, not yet added
  auto inner = steps.rows(tokens, config_.intermediate_dim);
  const bool has_more = config_.norm_place != NormPlace::before || config_.residual != Residual::serial;
  auto more = has_more ? steps.rows(tokens, hidden_dim) : TensorView<float, 2>();
  steps.embed(session.tokens_, embedding(), x);
  scale_rows(steps, config_.embedding_scale, x);
  steps.add_positions(*layers_.front().components.position, chunk.positions, x);

  for (const SequenceTokens& fed : input) session.halfway_[fed.sequence] = 1;
  const float* delta = nullptr;
  // A backward pass needs what each block has read and written; inference uses the same buffers for all.
  const auto renew = [&](auto&... buffers) {
    if (steps.records()) ((buffers = steps.rows(buffers.extent(0), buffers.extent(1))), ...);
  };
  // What a branch has given, as it is added.
  const auto finish = [&](const BodyNorm& norm) {
    if (norm.is_there()) {
      steps.add_norm(added, nullptr, norm.norm(), more);
      std::swap(added, more);
    }
    scale_rows(steps, config_.residual_scale, added);
  };
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    Layer& layer = layers_[index];
    if (index > 0 && after_layer_) after_layer_();
    if (index > 0) renew(normed, added, inner);
    steps.add_norm(x, delta, layer.norms.attention_in.norm(), normed);
    const std::int64_t state_floats = static_cast<std::int64_t>(session.states_[index].size()) / sequences;
    run_layer(steps, *layer.components.attention,
              {.chunk = chunk,
               .cache = session.cache(static_cast<int>(index)),
               .position = *layer.components.position,
               .state = {session.states_[index].data(), {sequences, state_floats}},
               .ends_rows = layer.ends_rows,
               .layer = static_cast<int>(index),
               .histories = session.histories_},
              normed, added);
    finish(layer.norms.attention_out);
    delta = added.data();
    if (!layer.has_mlp()) continue;
    if (config_.residual == Residual::serial) {
      renew(normed, added);
      steps.add_norm(x, delta, layer.norms.mlp_in.norm(), normed);
      layer.run_mlp(steps, normed, inner, added);
      finish(layer.norms.mlp_out);
      delta = added.data();
      continue;
    }
    if (layer.norms.mlp_in.is_there()) steps.add_norm(x, nullptr, layer.norms.mlp_in.norm(), normed);
    layer.run_mlp(steps, normed, inner, more);
    scale_rows(steps, config_.residual_scale, more);
    constexpr float sum[] = {1, 1};
    steps.blend(one_head(more), sum, one_head(added));
  }
  if (after_layer_) after_layer_();
  hidden_.resize(static_cast<std::size_t>(tokens) * hidden_dim);
  TensorView<float, 2> result(hidden_.data(), {tokens, hidden_dim});
  steps.add_norm(x, delta, final_norm_.norm(), result);
  for (const SequenceTokens& fed : input) {
    session.lengths_[fed.sequence] += static_cast<Position>(fed.tokens.size());
    session.halfway_[fed.sequence] = 0;
  }
  saw_nonfinite_ = saw_nonfinite_ || has_nonfinite(result);
  return result;
}

void Decoder::logits(TensorView<const float, 2> hidden, TensorView<float, 2> out) const {
  ModelSteps& steps = work_->current();
  steps.project(hidden, {*head_, out});
  scale_rows(steps, config_.logit_scale, out);
  if (config_.logit_softcap > 0) cap_rows(static_cast<float>(config_.logit_softcap), out);
}

}  // namespace attnlab::model

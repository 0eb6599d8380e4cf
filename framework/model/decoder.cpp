#include "model/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <map>
#include <numeric>

#include <attnlab/error.h>
#include <attnlab/ops.h>

#include "model/parameters.h"
#include "ops/product_kernels.h"
#include "ops/products.h"
#include "ops/vector_kernels.h"
#include "parallel/parallel.h"

namespace attnlab::model {
namespace {

constexpr int kRowsOfTask = 16;

// x += delta (where there is one), out = RMSNorm(x); rows in parallel.
void add_norm(TensorView<float, 2> x, const float* delta, std::span<const float> weight, float eps,
              TensorView<float, 2> out) {
  const std::int64_t width = x.extent(1);
  const int tasks = static_cast<int>((x.extent(0) + kRowsOfTask - 1) / kRowsOfTask);
  parallel_for(tasks, [&](int task, WorkerSlot) {
    const std::int64_t first = static_cast<std::int64_t>(task) * kRowsOfTask;
    const std::int64_t end = std::min(first + kRowsOfTask, x.extent(0));
    for (std::int64_t row = first; row < end; ++row) {
      if (delta == nullptr)
        vec::rms_norm(x.row(row), weight, eps, out.row(row));
      else
        vec::add_rms_norm(x.row(row), {delta + row * width, static_cast<std::size_t>(width)}, weight, eps,
                          out.row(row));
    }
  });
}

// NaN or Inf anywhere; rows in parallel.
bool has_nonfinite(TensorView<const float, 2> rows) {
  std::atomic<bool> found = false;
  const int tasks = static_cast<int>((rows.extent(0) + kRowsOfTask - 1) / kRowsOfTask);
  parallel_for(tasks, [&](int task, WorkerSlot) {
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

}  // namespace

struct Decoder::Layer {
  LayerComponents components;
  std::unique_ptr<BoundParameters> parameters;  // of the components
  std::unique_ptr<Matrix> gate, up, down;
  std::vector<float> gate_bias, up_bias, down_bias;
  std::vector<float> input_norm, post_attention_norm;
};

std::unique_ptr<LayerCache> make_cache(const LayerComponents& components, const CachePlace& place) {
  const KvShape shape = components.attention->kv_shape();
  const auto sequences = static_cast<int>(place.capacities.size());
  const int longest = *std::max_element(place.capacities.begin(), place.capacities.end());
  LayerCacheContext context{.layer = place.layer,
                            .layers = place.layers,
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

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

void Session::clear() {
  for (int sequence = 0; sequence < sequences(); ++sequence) {
    lengths_[sequence] = 0;
    for (auto& cache : caches_) cache->clear(sequence);
  }
  for (std::vector<float>& state : states_) std::fill(state.begin(), state.end(), 0.0F);
}

void Session::fill(std::span<const int> lengths, std::span<const int> prompts, const MakeRows& make) {
  constexpr int chunk_tokens = 512;
  for (std::size_t layer = 0; layer < caches_.size(); ++layer) {
    LayerCache& cache = *caches_[layer];
    const KvShape shape = cache.shape();
    if (shape.kv_heads == 0) continue;  // a state: its size does not depend on the tokens before
    std::vector<float> keys(static_cast<std::size_t>(chunk_tokens) * shape.kv_heads * shape.key_dim);
    std::vector<float> values(static_cast<std::size_t>(chunk_tokens) * shape.kv_heads * shape.value_dim);
    std::vector<float> queries;
    if (cache.query_sink() != nullptr) queries.resize(static_cast<std::size_t>(chunk_tokens) * heads_ * shape.key_dim);
    make(static_cast<int>(layer), {keys, values, queries});
    for (int sequence = 0; sequence < sequences(); ++sequence) {
      for (Position first = lengths_[sequence]; first < lengths[sequence]; first += chunk_tokens) {
        const int count = std::min(chunk_tokens, lengths[sequence] - first);
        std::vector<std::int32_t> offsets(sequences() + 1, 0);
        std::fill(offsets.begin() + sequence + 1, offsets.end(), count);
        std::vector<Position> positions(count);
        std::iota(positions.begin(), positions.end(), first);
        std::vector<Phase> phases(sequences(), Phase::decode);
        phases[sequence] = first + count == prompts[sequence] ? Phase::last_prefill : Phase::prefill;
        const std::vector<Position> ends(prompts.begin(), prompts.end());
        const ChunkView chunk{offsets, positions, phases, ends};
        cache.append(chunk, {keys.data(), {count, shape.kv_heads, shape.key_dim}},
                     {values.data(), {count, shape.kv_heads, shape.value_dim}});
        if (QuerySink* sink = cache.query_sink()) sink->add(chunk, {queries.data(), {count, heads_, shape.key_dim}});
        cache.end_chunk(chunk);
      }
    }
  }
  lengths_.assign(lengths.begin(), lengths.end());
}

void Session::save(int sequence, StateWriter& to) const {
  to.put(lengths_[sequence]);
  for (std::size_t layer = 0; layer < caches_.size(); ++layer) {
    const std::size_t floats = states_[layer].size() / lengths_.size();
    to.put_all(std::span<const float>(states_[layer]).subspan(sequence * floats, floats));
    StateWriter of_cache;  // its own, so that no cache reads what another wrote
    caches_[layer]->save(sequence, of_cache);
    to.put_all(of_cache.bytes());
  }
}

void Session::restore(int sequence, StateReader& from) {
  lengths_[sequence] = from.get<Position>();
  std::vector<float> state;
  std::vector<std::byte> bytes;
  for (std::size_t layer = 0; layer < caches_.size(); ++layer) {
    const std::size_t floats = states_[layer].size() / lengths_.size();
    from.get_all(state);
    if (state.size() != floats)
      throw Error("", "the state is that of another attention", "restore a session that was made alike");
    std::copy(state.begin(), state.end(), states_[layer].begin() + static_cast<std::ptrdiff_t>(sequence * floats));
    from.get_all(bytes);
    StateReader of_cache(bytes);
    caches_[layer]->restore(sequence, of_cache);
    if (!of_cache.is_at_end())
      throw Error("", fmt::format("the cache of layer {} reads less of its state than it wrote", layer),
                  "restore what save writes, in the same order");
  }
}

std::size_t Session::kv_bytes() const noexcept {
  std::size_t sum = 0;
  for (const auto& cache : caches_) sum += cache->bytes();
  for (const std::vector<float>& state : states_) sum += state.size() * sizeof(float);
  return sum;
}

std::size_t Session::kv_bytes_nominal() const noexcept {
  std::size_t sum = 0;
  for (const auto& cache : caches_) {
    const KvShape shape = cache->shape();
    const std::size_t row = sizeof(float) * (shape.key_dim + (shape.value_is_key_prefix ? 0 : shape.value_dim));
    for (int sequence = 0; sequence < sequences(); ++sequence)
      for (int head = 0; head < shape.kv_heads; ++head) sum += row * cache->rows(sequence, head);
  }
  return sum;
}

std::int64_t Session::live_rows() const noexcept {
  std::int64_t sum = 0;
  for (const auto& cache : caches_)
    for (int sequence = 0; sequence < sequences(); ++sequence)
      for (int head = 0; head < cache->shape().kv_heads; ++head) sum += cache->rows(sequence, head);
  return sum;
}

std::int64_t Session::appended_rows() const noexcept {
  std::int64_t sum = 0;
  for (const auto& cache : caches_)
    for (const Position length : lengths_) sum += static_cast<std::int64_t>(length) * cache->shape().kv_heads;
  return sum;
}

Decoder::Decoder(const ModelConfig& config, std::vector<LayerComponents> layers, WeightStore weights,
                 bool replaced_attention)
    : config_(config) {
  ATTNLAB_CHECK(static_cast<int>(layers.size()) == config.layers, "components for another number of layers");
  layers_.reserve(layers.size());
  for (LayerComponents& components : layers) {
    layers_.emplace_back();
    layers_.back().components = std::move(components);
  }
  load(weights, replaced_attention);
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

void Decoder::load(WeightStore& weights, bool replaced_attention) {
  const std::int64_t hidden = config_.hidden_dim;
  const std::int64_t inner = config_.intermediate_dim;
  const std::int64_t vocab = config_.vocab_size;
  const auto matrix = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    const std::int64_t shape[] = {out, in};
    return std::make_unique<Matrix>(weights.matrix(name, shape));
  };
  const auto values = [&](const std::string& name, std::int64_t count) { return weights.values(name, {&count, 1}); };

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
    layer.input_norm = values(prefix + "input_layernorm.weight", hidden);
    layer.parameters = bind_parameters(layer.components, prefix + "self_attn.", weights, shared);
    layer.post_attention_norm = values(prefix + "post_attention_layernorm.weight", hidden);
    layer.gate = matrix(prefix + "mlp.gate_proj.weight", inner, hidden);
    layer.up = matrix(prefix + "mlp.up_proj.weight", inner, hidden);
    layer.down = matrix(prefix + "mlp.down_proj.weight", hidden, inner);
    if (config_.mlp_bias) {
      layer.gate_bias = values(prefix + "mlp.gate_proj.bias", inner);
      layer.up_bias = values(prefix + "mlp.up_proj.bias", inner);
      layer.down_bias = values(prefix + "mlp.down_proj.bias", hidden);
    }
    if (replaced_attention) ignored.push_back(prefix + "self_attn.");
  }
  final_norm_ = values("model.norm.weight", hidden);
  if (tied && weights.has("lm_head.weight")) ignored.emplace_back("lm_head.weight");  // a copy of the embedding
  weights.check_all_used(ignored);
  notes_ = weights.notes();
}

std::size_t Decoder::weight_bytes() const noexcept {
  return weight_bytes_per_step() + embedding_.size();
}

std::size_t Decoder::weight_bytes_per_step() const noexcept {
  std::size_t sum = head_->bytes() + final_norm_.size() * sizeof(float);
  for (const Layer& layer : layers_) {
    sum += layer.gate->bytes() + layer.up->bytes() + layer.down->bytes() + layer.parameters->bytes();
    sum += sizeof(float) * (layer.input_norm.size() + layer.post_attention_norm.size() + layer.gate_bias.size() +
                            layer.up_bias.size() + layer.down_bias.size());
  }
  return sum;
}

std::int64_t Decoder::layer_weights() const noexcept {
  const auto count = [](const Matrix& matrix) { return matrix.out_dim() * matrix.in_dim(); };
  std::int64_t sum = 0;
  for (const Layer& layer : layers_)
    sum += count(*layer.gate) + count(*layer.up) + count(*layer.down) + layer.parameters->matrix_elements();
  return sum;
}

std::int64_t Decoder::head_weights() const noexcept {
  return head_->out_dim() * head_->in_dim();
}

const PositionScheme& Decoder::position(int layer) const noexcept {
  return *layers_[layer].components.position;
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
  session.heads_ = config_.heads;
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    const LayerComponents& components = layers_[index].components;
    session.caches_.push_back(make_cache(components, {.layer = static_cast<int>(index),
                                                      .layers = config_.layers,
                                                      .heads = config_.heads,
                                                      .capacities = {capacities.begin(), capacities.end()}}));
    session.states_.emplace_back(static_cast<std::size_t>(sequences) * components.attention->state_floats());
  }
  return session;
}

std::optional<std::string> Decoder::check_length(int length) const {
  for (const Layer& layer : layers_) {
    const Position limit = layer.components.position->max_positions();
    if (limit > 0 && length > limit)
      throw Error(
          "",
          fmt::format("a sequence of {} tokens is longer than the {} positions of the position scheme", length, limit),
          fmt::format("use at most {} tokens", limit));
  }
  if (length > config_.max_positions)
    return fmt::format("a sequence of {} tokens is longer than the {} positions that the model was trained for", length,
                       config_.max_positions);
  return std::nullopt;
}

void Decoder::embed(std::span<const TokenId> tokens, TensorView<float, 2> out) const {
  const int tasks = static_cast<int>((tokens.size() + kRowsOfTask - 1) / kRowsOfTask);
  parallel_for(tasks, [&](int task, WorkerSlot) {
    const std::size_t first = static_cast<std::size_t>(task) * kRowsOfTask;
    const std::size_t end = std::min(first + kRowsOfTask, tokens.size());
    for (std::size_t row = first; row < end; ++row) {
      const std::span<float> to = out.row(static_cast<std::int64_t>(row));
      if (embedding_.size() == 0) {
        head_->copy_output(tokens[row], to);
      } else {
        const std::size_t bytes = to.size() * element_bytes(embedding_type_);
        widen_row(embedding_.data() + tokens[row] * bytes, embedding_type_, to);
      }
    }
  });
}

TensorView<const float, 2> Decoder::forward(Session& session, std::span<const SequenceTokens> input) {
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
      session.lengths_[sequence] = end;
    }
    session.offsets_.push_back(static_cast<std::int32_t>(session.positions_.size()));
  }
  const ChunkView chunk{session.offsets_, session.positions_, session.phases_, session.chunk_lengths_};
  const int tokens = chunk.tokens();
  for (const TokenId token : session.tokens_)
    if (token < 0 || token >= config_.vocab_size)
      throw Error("", fmt::format("token id {} is outside the vocabulary of {}", token, config_.vocab_size));

  Scratch& scratch = *scratch_;
  const Scratch::Scope scope(scratch);
  const int hidden_dim = config_.hidden_dim;
  auto x = scratch.rows(tokens, hidden_dim);       // residual stream
  auto normed = scratch.rows(tokens, hidden_dim);  // input of the next block
  auto added = scratch.rows(tokens, hidden_dim);   // output of the last block, not yet added
  auto inner = scratch.rows(tokens, config_.intermediate_dim);
  embed(session.tokens_, x);
  layers_.front().components.position->add_to_embeddings(chunk.positions, x);

  const float* delta = nullptr;
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    Layer& layer = layers_[index];
    LayerCache& cache = *session.caches_[index];
    add_norm(x, delta, layer.input_norm, config_.rms_norm_eps, normed);
    const std::int64_t state_floats = static_cast<std::int64_t>(session.states_[index].size()) / sequences;
    layer.components.attention->forward({.chunk = chunk,
                                         .cache = cache,
                                         .position = *layer.components.position,
                                         .scratch = scratch,
                                         .state = {session.states_[index].data(), {sequences, state_floats}}},
                                        normed, added);
    cache.end_chunk(chunk);
    add_norm(x, added.data(), layer.post_attention_norm, config_.rms_norm_eps, normed);
    gated_project(normed, *layer.gate, *layer.up, layer.gate_bias, layer.up_bias, inner);
    project(inner, {*layer.down, added, layer.down_bias});
    delta = added.data();
  }
  hidden_.resize(static_cast<std::size_t>(tokens) * hidden_dim);
  TensorView<float, 2> result(hidden_.data(), {tokens, hidden_dim});
  add_norm(x, delta, final_norm_, config_.rms_norm_eps, result);
  saw_nonfinite_ = saw_nonfinite_ || has_nonfinite(result);
  return result;
}

void Decoder::logits(TensorView<const float, 2> hidden, TensorView<float, 2> out) const {
  project(hidden, {*head_, out});
}

}  // namespace attnlab::model

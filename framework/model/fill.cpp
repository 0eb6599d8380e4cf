// Caches filled with made rows: each layer is driven as in a forward pass, with rows that are given instead of
// projected.
#include <algorithm>
#include <numeric>

#include "model/decoder_parts.h"
#include "steps/given_attention.h"

namespace attnlab::model {
namespace {

constexpr int kChunkTokens = 512;

}  // namespace

void Decoder::fill(Session& session, std::span<const int> lengths, std::span<const int> prompts, const MakeRows& make) {
  for (int sequence = 0; sequence < session.sequences(); ++sequence) session.check_whole(sequence);
  std::fill(session.halfway_.begin(), session.halfway_.end(), 1);
  const std::vector<Position> ends(prompts.begin(), prompts.end());
  for (std::size_t index = 0; index < layers_.size(); ++index) {
    const auto layer = static_cast<int>(index);
    if (!session.owns_rows(layer)) continue;
    LayerCache& cache = session.cache(layer);
    const KvShape shape = cache.shape();
    if (shape.kv_heads == 0) continue;  // a state: its size does not depend on the tokens before
    const auto row = [](std::int64_t heads, int width) {
      return static_cast<std::size_t>(kChunkTokens * heads * width);
    };
    std::vector<float> keys(row(shape.kv_heads, shape.key_dim));
    std::vector<float> values(row(shape.kv_heads, shape.value_dim));
    std::vector<float> queries;
    if (cache.query_sink() != nullptr) queries.resize(row(config_.heads, shape.key_dim));
    make(layer, {keys, values, queries});
    GivenAttention given(shape, config_.heads);
    given.set_attends(GivenAttention::Attends::never);
    for (int sequence = 0; sequence < session.sequences(); ++sequence)
      for (Position first = session.lengths_[sequence]; first < lengths[sequence]; first += kChunkTokens) {
        const int count = std::min(kChunkTokens, lengths[sequence] - first);
        std::vector<std::int32_t> offsets(session.sequences() + 1, 0);
        std::fill(offsets.begin() + sequence + 1, offsets.end(), count);
        std::vector<Position> positions(count);
        std::iota(positions.begin(), positions.end(), first);
        std::vector<Phase> phases(session.sequences(), Phase::decode);
        phases[sequence] = first + count == prompts[sequence] ? Phase::last_prefill : Phase::prefill;
        const ChunkView chunk{offsets, positions, phases, ends};
        given.give({queries.data(), {count, config_.heads, shape.key_dim}},
                   {keys.data(), {count, shape.kv_heads, shape.key_dim}},
                   {values.data(), {count, shape.kv_heads, shape.value_dim}});
        run_layer(work_->current(), given,
                  {.chunk = chunk,
                   .cache = cache,
                   .position = *layers_[index].components.position,
                   .layer = static_cast<int>(index),
                   .histories = session.histories_},
                  {}, {});
      }
  }
  session.lengths_.assign(lengths.begin(), lengths.end());
  std::fill(session.halfway_.begin(), session.halfway_.end(), 0);
}

}  // namespace attnlab::model

#include "experiment/feeding.h"

#include <algorithm>

#include "model/random_weights.h"

namespace attnlab::experiment {

void feed_prompt(model::Decoder& decoder, model::Session& session, int sequence, std::span<const model::TokenId> prompt,
                 int chunk, const HiddenRows& each) {
  for (std::size_t first = 0; first < prompt.size(); first += chunk) {
    const std::size_t count = std::min<std::size_t>(chunk, prompt.size() - first);
    const bool last = first + count == prompt.size();
    const model::SequenceTokens fed{.sequence = sequence,
                                    .tokens = prompt.subspan(first, count),
                                    .phase = last ? Phase::last_prefill : Phase::prefill,
                                    .prompt_length = static_cast<int>(prompt.size())};
    const auto hidden = decoder.forward(session, {&fed, 1});
    if (each) each(static_cast<int>(first), hidden);
  }
}

void each_logits(const model::Decoder& decoder, TensorView<const float, 2> hidden,
                 const std::function<void(int row, std::span<const float> logits)>& each) {
  constexpr std::int64_t piece = 64;
  const std::int64_t vocab = decoder.config().vocab_size;
  std::vector<float> room(static_cast<std::size_t>(std::min(piece, hidden.extent(0)) * vocab));
  for (std::int64_t first = 0; first < hidden.extent(0); first += piece) {
    const std::int64_t count = std::min(piece, hidden.extent(0) - first);
    TensorView<float, 2> logits(room.data(), {count, vocab});
    decoder.logits(hidden.slice(first, count), logits);
    for (std::int64_t row = 0; row < count; ++row) each(static_cast<int>(first + row), logits.row(row));
  }
}

void fill_caches(model::Session& session, std::span<const int> lengths, std::uint64_t seed) {
  session.fill(lengths, [&](int layer, std::span<float> keys, std::span<float> values) {
    model::random_values(seed, "keys", layer, keys, 1.0F);
    model::random_values(seed, "values", layer, values, 1.0F);
  });
}

}  // namespace attnlab::experiment

#include "assembly/feeding.h"

#include <algorithm>

#include <attnlab/random.h>

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

void feed_batch(model::Decoder& decoder, model::Session& session, std::span<const int> new_tokens,
                std::span<const model::TokenId> tokens, const LastRows& each) {
  std::vector<int> left(new_tokens.begin(), new_tokens.end());
  std::vector<int> fed(left.size(), 0);
  while (std::any_of(left.begin(), left.end(), [](int count) { return count > 0; })) {
    std::vector<model::SequenceTokens> input;
    std::vector<std::int64_t> last_rows;
    int room = kPrefillChunk;
    std::int64_t row = 0;
    for (std::size_t sequence = 0; sequence < left.size() && room > 0; ++sequence) {
      const int count = std::min(left[sequence], room);
      if (count == 0) continue;
      const bool ends = count == left[sequence];
      const bool decodes = ends && fed[sequence] == 0 && count == 1 && session.length(static_cast<int>(sequence)) > 0;
      input.push_back({.sequence = static_cast<int>(sequence),
                       .tokens = tokens.subspan(fed[sequence], count),
                       .phase = decodes ? Phase::decode
                                : ends  ? Phase::last_prefill
                                        : Phase::prefill,
                       .prompt_length = session.length(static_cast<int>(sequence)) + left[sequence]});
      fed[sequence] += count;
      left[sequence] -= count;
      room -= count;
      row += count;
      if (ends) last_rows.push_back(row - 1);
    }
    each(decoder.forward(session, input), last_rows);
  }
}

TensorView<const float, 2> feed_step(model::Decoder& decoder, model::Session& session,
                                     std::span<const model::TokenId> tokens) {
  std::vector<model::SequenceTokens> input;
  for (int sequence = 0; sequence < session.sequences(); ++sequence)
    input.push_back({.sequence = sequence, .tokens = tokens.subspan(sequence, 1), .phase = Phase::decode});
  return decoder.forward(session, input);
}

std::vector<model::TokenId> spread_tokens(int count, int vocab, std::uint64_t seed) {
  std::vector<model::TokenId> tokens(count);
  SplitMix64 random(seed);
  for (model::TokenId& token : tokens)
    token = static_cast<model::TokenId>(random.below(static_cast<std::uint64_t>(vocab)));
  return tokens;
}

void fill_caches(model::Decoder& decoder, model::Session& session, std::span<const int> lengths, std::uint64_t seed) {
  begin_prompts(decoder, session, lengths, lengths, seed);
}

void fill_for_steps(model::Decoder& decoder, model::Session& session, std::span<const int> lengths,
                    std::uint64_t seed) {
  std::vector<int> begun(lengths.begin(), lengths.end());
  const std::vector<model::TokenId> last = spread_tokens(1, decoder.config().vocab_size, seed);
  std::vector<model::SequenceTokens> input;
  for (int sequence = 0; sequence < session.sequences(); ++sequence) {
    if (lengths[sequence] == 0) continue;
    --begun[sequence];
    input.push_back(
        {.sequence = sequence, .tokens = last, .phase = Phase::last_prefill, .prompt_length = lengths[sequence]});
  }
  begin_prompts(decoder, session, begun, lengths, seed);
  if (!input.empty()) (void)decoder.forward(session, input);
}

void begin_prompts(model::Decoder& decoder, model::Session& session, std::span<const int> lengths,
                   std::span<const int> prompts, std::uint64_t seed) {
  decoder.fill(session, lengths, prompts, [&](int layer, const model::Decoder::MadeRows& rows) {
    model::random_values(seed, "keys", layer, rows.keys, 1.0F);
    model::random_values(seed, "values", layer, rows.values, 1.0F);
    model::random_values(seed, "queries", layer, rows.queries, 1.0F);
  });
}

}  // namespace attnlab::experiment

// How tokens get into a session: a prompt in chunks, one more token for every sequence, or rows that are put into the
// caches without running the model. All code that runs a model uses these functions.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <attnlab/api.h>

#include "model/decoder.h"

namespace attnlab::experiment {

/// Tokens of one forward call in a prefill: activations of a chunk stay in the caches of the processor, and the
/// working memory stays small beside the weights.
inline constexpr int kPrefillChunk = 512;

/// Called with rows of hidden states and the index of their first token within the fed tokens.
using HiddenRows = std::function<void(int first, TensorView<const float, 2> hidden)>;

/// Feeds the whole prompt to one sequence that is empty, in chunks; the last chunk ends the prompt.
ATTNLAB_API void feed_prompt(model::Decoder& decoder, model::Session& session, int sequence,
                             std::span<const model::TokenId> prompt, int chunk, const HiddenRows& each = {});

/// Feeds new_tokens[sequence] tokens to every sequence, as many of `tokens` from the first on, in chunks that several
/// sequences share: as a prompt, or the end of one that was begun; a single token after others is a decode step.
/// `each` is called with the hidden states of a chunk and the rows in it that are the last of a sequence.
using LastRows = std::function<void(TensorView<const float, 2> hidden, std::span<const std::int64_t> last_rows)>;
ATTNLAB_API void feed_batch(model::Decoder& decoder, model::Session& session, std::span<const int> new_tokens,
                            std::span<const model::TokenId> tokens, const LastRows& each);
/// The next token of every sequence. Returns the hidden states [sequences, hidden_dim], valid until the next call.
ATTNLAB_API TensorView<const float, 2> feed_step(model::Decoder& decoder, model::Session& session,
                                                 std::span<const model::TokenId> tokens);

/// Ids that look like text to the embedding lookup: spread over the vocabulary.
[[nodiscard]] ATTNLAB_API std::vector<model::TokenId> spread_tokens(int count, int vocab, std::uint64_t seed);

/// Logits of every row of `hidden`, handed out in pieces of limited size: never tokens x vocabulary at once.
ATTNLAB_API void each_logits(const model::Decoder& decoder, TensorView<const float, 2> hidden,
                             const std::function<void(int row, std::span<const float> logits)>& each);

/// Brings every sequence to `length` rows with keys, values and queries from a seed, past the model but through the
/// cache policy, as one prompt: what a decode step reads is then there without the prefill's work. For timing only.
ATTNLAB_API void fill_caches(model::Decoder& decoder, model::Session& session, std::span<const int> lengths,
                             std::uint64_t seed);
/// The same, except that the last token of every prompt goes through the model, which ends the prompt: what a variant
/// computes once of all the rows before a token (means of blocks) is there afterwards, and no part of the first step.
ATTNLAB_API void fill_for_steps(model::Decoder& decoder, model::Session& session, std::span<const int> lengths,
                                std::uint64_t seed);
/// The same as fill_caches, as the beginning of prompts of prompts[sequence] tokens, which are still to be ended.
ATTNLAB_API void begin_prompts(model::Decoder& decoder, model::Session& session, std::span<const int> lengths,
                               std::span<const int> prompts, std::uint64_t seed);

}  // namespace attnlab::experiment

// A prompt as it is fed to the model: with the tokens that the tokenizer puts around it, checked before anything runs.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "model/config/model_config.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::experiment {

/// The text's ids with what the tokenizer adds around a prompt.
[[nodiscard]] ATTNLAB_API std::vector<model::TokenId> encode_prompt(const model::Tokenizer& tokenizer,
                                                                    std::string_view text);

/// Error (at `where`) for a prompt without tokens, or with ids outside the model's vocabulary.
ATTNLAB_API void check_prompt(const std::vector<model::TokenId>& tokens, int vocab_size, const std::string& where);

/// Tokens that end a text, any of them: those of the model (config.json, generation_config.json), and the tokenizer's.
[[nodiscard]] ATTNLAB_API std::vector<model::TokenId> end_tokens(const model::ModelConfig& config,
                                                                 const model::Tokenizer& tokenizer);

/// std::runtime_error, a failure and no wrong input, where the logits of a position make no probabilities: NaN, or
/// +Inf, or nothing but -Inf.
ATTNLAB_API void check_logits(std::span<const float> logits, int position);

/// Ids of a text file, without BOS, for a workload that predicts them. Error (where = the file) if it cannot be read,
/// is not UTF-8, or has fewer than two tokens or ids outside the model's vocabulary.
[[nodiscard]] ATTNLAB_API std::vector<model::TokenId> read_text_tokens(const std::filesystem::path& path,
                                                                       const model::Tokenizer& tokenizer,
                                                                       int vocab_size);

}  // namespace attnlab::experiment

// tokenizer.model files, which Llama 2, Mistral and their relatives ship. libsentencepiece does the work; here are the
// checks it does not make and the stream it does not have.
#pragma once

#include <filesystem>
#include <memory>

#include "model/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// Throws attnlab::Error if the file cannot be read or is no sentencepiece model.
std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& file);

}  // namespace attnlab::model::tokenizer_parts

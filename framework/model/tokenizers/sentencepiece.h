// tokenizer.model files, which Llama 2, Mistral and their relatives ship. libsentencepiece does the work; here are the
// checks it does not make, the stream it does not have, and the added tokens and settings of the files beside it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "model/tokenizers/side_files.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// Throws attnlab::Error if the file cannot be read or is no sentencepiece model.
std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer(const std::filesystem::path& file, const SideFiles& files);

/// The same for the bytes of such a file that come from somewhere else.
std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string& bytes, const std::string& where,
                                                   const SideFiles& files);

/// The same where a tokenizer.json of an unsupported kind is beside it, whose added tokens and template still count.
/// Null if that file's vocabulary is not the model's own: the two would give different ids.
std::unique_ptr<Tokenizer> load_sentencepiece_tokenizer_of(const std::filesystem::path& file,
                                                           const std::filesystem::path& json, const SideFiles& files);

}  // namespace attnlab::model::tokenizer_parts

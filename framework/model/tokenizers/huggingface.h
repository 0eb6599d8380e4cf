// A tokenizer.json put together: added tokens, normalizer, pre-tokenizer, BPE, post-processor and decoder, in the
// order the Hugging Face library runs them. Ignored on purpose: "truncation" and "padding" (they shape batches),
// "trim_offsets", clean_up_tokenization_spaces and chat templates. Every other key is used or refused.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "model/tokenizers/side_files.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// `files`: those beside it. Throws attnlab::Error; UnsupportedKind where a part is of a kind that is not known.
std::unique_ptr<Tokenizer> load_huggingface_tokenizer(const std::filesystem::path& file, const SideFiles& files);
/// The same for the text of such a file that comes from somewhere else.
std::unique_ptr<Tokenizer> huggingface_tokenizer(std::string json, const std::string& where, const SideFiles& files);

}  // namespace attnlab::model::tokenizer_parts

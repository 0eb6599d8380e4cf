// A tokenizer.json put together: added tokens, normalizer, pre-tokenizer, BPE, post-processor and decoder, in the
// order the Hugging Face library runs them. Ignored on purpose: "truncation" and "padding" (they shape batches),
// "trim_offsets", clean_up_tokenization_spaces and chat templates. Every other key is used or refused.
#pragma once

#include <filesystem>
#include <memory>

#include "model/tokenizers/side_files.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// `files`: those beside it. Throws attnlab::Error; UnsupportedKind where a part is of a kind that is not known.
std::unique_ptr<Tokenizer> load_huggingface_tokenizer(const std::filesystem::path& file, const SideFiles& files);

}  // namespace attnlab::model::tokenizer_parts

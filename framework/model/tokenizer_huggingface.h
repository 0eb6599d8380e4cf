// A tokenizer.json put together: added tokens, normalizer, pre-tokenizer, BPE, post-processor and decoder, in the
// order the Hugging Face library runs them. Ignored on purpose: "truncation" and "padding" (they shape batches),
// "trim_offsets", clean_up_tokenization_spaces and chat templates.
#pragma once

#include <filesystem>
#include <memory>

#include "model/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// `folder` has a tokenizer.json and perhaps a tokenizer_config.json. Throws attnlab::Error.
std::unique_ptr<Tokenizer> load_huggingface_tokenizer(const std::filesystem::path& folder);

}  // namespace attnlab::model::tokenizer_parts

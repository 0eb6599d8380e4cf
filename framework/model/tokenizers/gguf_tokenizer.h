// The tokenizer that the keys of a GGUF file describe: put into the form of a tokenizer.model (sentencepiece) or of a
// tokenizer.json (byte-level BPE), and read as those are.
#pragma once

#include <filesystem>
#include <memory>

#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

/// Error (where = the path) for keys that are missing or do not fit each other, for ids that no token has, and for a
/// kind of tokenizer or of split that is not read, naming it.
std::unique_ptr<Tokenizer> load_gguf_tokenizer(const std::filesystem::path& file);

}  // namespace attnlab::model::tokenizer_parts

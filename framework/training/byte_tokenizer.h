// The tokenizer of a model that was trained on bytes, as the file that Hugging Face's library and every command read:
// without it such a checkpoint could not read a text.
#pragma once

#include <nlohmann/json.hpp>

#include <attnlab/api.h>

namespace attnlab::training {

/// A tokenizer.json in which id i is the byte i: a byte-level BPE without merges. Of 256 bytes, those that a vocabulary
/// of this size has an id for.
[[nodiscard]] ATTNLAB_API nlohmann::ordered_json byte_tokenizer_json(int vocab_size);

}  // namespace attnlab::training

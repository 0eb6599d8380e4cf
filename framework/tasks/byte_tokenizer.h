// A model that was trained on bytes is read by other engines, and by every command here, through a tokenizer.json.
#pragma once

#include <string>

#include <attnlab/api.h>

namespace attnlab::tasks {

/// The text of a tokenizer.json in which id i is the byte i: byte-level BPE of 256 tokens without merges or special
/// tokens. To be written into a checkpoint where TaskFacts::ids_are_bytes.
[[nodiscard]] ATTNLAB_API std::string byte_tokenizer_json();

}  // namespace attnlab::tasks

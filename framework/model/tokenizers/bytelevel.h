// GPT-2's alphabet: every byte has one printable character, so that a vocabulary in JSON can hold any bytes.
// Printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up (the space is U+0120, a G with a dot).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace attnlab::model::tokenizer_parts {

/// UTF-8 of the characters that stand for `bytes`.
std::string to_byte_characters(std::string_view bytes);

/// The bytes that `characters` (UTF-8) stand for, or nothing if one of them stands for no byte.
std::optional<std::string> from_byte_characters(std::string_view characters);

}  // namespace attnlab::model::tokenizer_parts

// UTF-8, character by character, as ICU reads it. Beside its code point a step says how long a broken sequence is,
// which decides how many U+FFFD a decoder prints, and whether a tail is broken or only not complete yet.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <attnlab/api.h>

namespace attnlab {

enum class Utf8State { valid, invalid, incomplete };

struct Utf8Step {
  Utf8State state;
  int bytes;            // of the character; of the longest start of one if it is invalid or incomplete; at least 1
  char32_t code_point;  // U+FFFD unless it is valid
};

/// Looks at the first character of `text`, which must not be empty. Overlong forms, surrogates and what lies beyond
/// U+10FFFF are invalid.
ATTNLAB_API Utf8Step first_character(std::string_view text) noexcept;

/// The last character of a valid text, which must not be empty.
ATTNLAB_API std::string_view last_character(std::string_view text) noexcept;

/// The code point of one valid character.
ATTNLAB_API char32_t code_point(std::string_view character) noexcept;

ATTNLAB_API void append_utf8(char32_t code_point, std::string& text);

/// Where the first broken or incomplete character begins.
[[nodiscard]] ATTNLAB_API std::optional<std::size_t> first_invalid_utf8(std::string_view text);

/// The longest start of a valid text that has at most so many bytes and ends between characters.
[[nodiscard]] ATTNLAB_API std::string_view whole_characters(std::string_view text, std::size_t most_bytes) noexcept;

/// Code points of a valid text.
[[nodiscard]] ATTNLAB_API int count_characters(std::string_view text) noexcept;

}  // namespace attnlab

// UTF-8 by hand where a library's answer is not enough: how long a broken sequence is decides how many U+FFFD the
// decoders print, and a stream must know whether a tail is broken or only not complete yet.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "model/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8State { valid, invalid, incomplete };

struct Utf8Step {
  Utf8State state;
  int bytes;  // of the character; of the longest start of one if it is invalid or incomplete; at least 1
};

/// Looks at the first character of `text`, which must not be empty.
Utf8Step first_character(std::string_view text) noexcept;

/// The last character of a valid text, which must not be empty.
std::string_view last_character(std::string_view text) noexcept;

/// The code point of one valid character.
char32_t code_point(std::string_view character) noexcept;

void append_utf8(char32_t code_point, std::string& text);

/// Throws attnlab::Error if `text` is not UTF-8, or too long for 32-bit offsets (ICU and sentencepiece have these).
void require_encodable(std::string_view text);

/// Throws attnlab::Error unless 0 <= id < vocab_size.
void require_token(TokenId id, int vocab_size);

/// Bytes in any portions to UTF-8: each longest broken start of a character becomes one U+FFFD (Unicode's
/// "maximal subpart", what Rust's from_utf8_lossy does); an incomplete tail waits for the next portion.
class LossyUtf8 {
 public:
  std::string push(std::string_view bytes);
  std::string finish();

 private:
  std::string held_;  // an incomplete character: at most 3 bytes
};

}  // namespace attnlab::model::tokenizer_parts

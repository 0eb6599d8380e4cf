// What tokenizers ask of UTF-8 beside its characters: refusals in their words, and a stream of bytes in which a tail
// may be broken or only not complete yet.
#pragma once

#include <string>
#include <string_view>

#include "base/utf8.h"
#include "model/tokenizers/tokenizer.h"

namespace attnlab::model::tokenizer_parts {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

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

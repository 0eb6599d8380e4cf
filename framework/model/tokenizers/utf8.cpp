#include "model/tokenizers/utf8.h"

#include <cstdint>
#include <cstdio>

#include <attnlab/error.h>

namespace attnlab::model::tokenizer_parts {

void require_encodable(std::string_view text) {
  // A quarter of the 32-bit range: normalizers and the byte-level alphabet make text longer, at most threefold.
  if (text.size() > static_cast<std::size_t>(INT32_MAX) / 4) {
    throw Error("", "the text of " + std::to_string(text.size()) + " bytes is too long to tokenize at once",
                "cut it into pieces of less than 512 MiB");
  }
  if (const auto offset = first_invalid_utf8(text)) {
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02X", static_cast<unsigned char>(text[*offset]));
    throw Error("", "the text is not UTF-8: byte " + std::string(byte) + " at offset " + std::to_string(*offset),
                "convert the text to UTF-8");
  }
}

void require_token(TokenId id, int vocab_size) {
  if (id >= 0 && id < vocab_size) return;
  throw Error("", "token id " + std::to_string(id) + " is outside the vocabulary",
              "ids run from 0 to " + std::to_string(vocab_size - 1));
}

std::string LossyUtf8::push(std::string_view bytes) {
  held_ += bytes;
  std::string text;
  std::string_view rest = held_;
  while (!rest.empty()) {
    const Utf8Step step = first_character(rest);
    if (step.state == Utf8State::incomplete) break;
    text +=
        step.state == Utf8State::valid ? rest.substr(0, static_cast<std::size_t>(step.bytes)) : kReplacementCharacter;
    rest.remove_prefix(static_cast<std::size_t>(step.bytes));
  }
  held_ = std::string(rest);
  return text;
}

std::string LossyUtf8::finish() {
  const bool cut_off = !held_.empty();
  held_.clear();
  return cut_off ? std::string(kReplacementCharacter) : std::string();
}

}  // namespace attnlab::model::tokenizer_parts

// See the header.
#include "model/tokenizers/bytelevel.h"

#include <array>

#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

constexpr int kCharacters = 0x100 + 68;  // the highest character is U+0143

struct Alphabet {
  std::array<std::string, 256> character;  // UTF-8, by byte
  std::array<int, kCharacters> byte{};     // by code point; -1: none

  Alphabet() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (char32_t value = 0; value < 256; ++value) {
      const bool printable = (value >= 0x21 && value <= 0x7E) || (value >= 0xA1 && value != 0xAD);
      const char32_t c = printable ? value : next++;
      append_utf8(c, character[value]);
      byte[c] = static_cast<int>(value);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::string to_byte_characters(std::string_view bytes) {
  const Alphabet& all = alphabet();
  std::string characters;
  characters.reserve(bytes.size() + bytes.size() / 4);
  for (const char byte : bytes) characters += all.character[static_cast<unsigned char>(byte)];
  return characters;
}

std::optional<std::string> from_byte_characters(std::string_view characters) {
  const Alphabet& all = alphabet();
  std::string bytes;
  while (!characters.empty()) {
    const auto size = static_cast<std::size_t>(first_character(characters).bytes);
    const char32_t c = code_point(characters.substr(0, size));
    if (c >= kCharacters || all.byte[c] < 0) return std::nullopt;
    bytes += static_cast<char>(all.byte[c]);
    characters.remove_prefix(size);
  }
  return bytes;
}

}  // namespace attnlab::model::tokenizer_parts

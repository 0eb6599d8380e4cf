#include "config/utf8.h"

#include <cstddef>
#include <cstdint>

#include <fmt/format.h>

namespace attnlab::config {
namespace {

// Length of the character that begins here; 0 if none does: overlong forms, surrogates and what lies beyond U+10FFFF
// are none.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const std::uint8_t second = byte(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return length;
}

}  // namespace

std::optional<TextFault> find_fault(std::string_view text) {
  int line = 0;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = character_length(text.substr(i, 4));
    const bool is_control = (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r');
    if (length == 0 || is_control) {
      const int column = static_cast<int>(i - line_start);
      return TextFault{line, column, is_control ? fmt::format("the control character 0x{:02x}", byte) : "not UTF-8"};
    }
    i += length;
    if (byte == '\n') {
      ++line;
      line_start = i;
    }
  }
  return std::nullopt;
}

}  // namespace attnlab::config

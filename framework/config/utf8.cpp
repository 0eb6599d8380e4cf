#include "config/utf8.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace attnlab::config {
std::optional<TextFault> find_fault(std::string_view text) {
  int line = 0;
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const Utf8Step character = first_character(text.substr(i));
    const bool is_control = (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r');
    if (character.state != Utf8State::valid || is_control) {
      const int column = static_cast<int>(i - line_start);
      return TextFault{line, column, is_control ? fmt::format("the control character 0x{:02x}", byte) : "not UTF-8"};
    }
    i += static_cast<std::size_t>(character.bytes);
    if (byte == '\n') {
      ++line;
      line_start = i;
    }
  }
  return std::nullopt;
}

}  // namespace attnlab::config

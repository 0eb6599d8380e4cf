#include "base/utf8.h"

#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>

namespace attnlab {

Utf8Step first_character(std::string_view text) noexcept {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto there = static_cast<std::int32_t>(std::min<std::size_t>(text.size(), U8_MAX_LENGTH));
  std::int32_t read = 0;
  UChar32 code_point = 0;
  U8_NEXT(bytes, read, there, code_point);
  if (code_point >= 0) return {Utf8State::valid, read, static_cast<char32_t>(code_point)};
  // All that is there belongs to a character that has begun.
  const bool is_cut_off = static_cast<std::size_t>(read) == text.size() && U8_IS_LEAD(bytes[0]);
  return {is_cut_off ? Utf8State::incomplete : Utf8State::invalid, read, U'\uFFFD'};
}

std::string_view last_character(std::string_view text) noexcept {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && U8_IS_TRAIL(text[begin])) --begin;
  return text.substr(begin);
}

char32_t code_point(std::string_view character) noexcept {
  return first_character(character).code_point;
}

void append_utf8(char32_t code_point, std::string& text) {
  char bytes[U8_MAX_LENGTH];
  int length = 0;
  U8_APPEND_UNSAFE(bytes, length, code_point);
  text.append(bytes, static_cast<std::size_t>(length));
}

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  for (std::size_t offset = 0; offset < text.size();) {
    const Utf8Step step = first_character(text.substr(offset));
    if (step.state != Utf8State::valid) return offset;
    offset += static_cast<std::size_t>(step.bytes);
  }
  return std::nullopt;
}

std::string_view whole_characters(std::string_view text, std::size_t most_bytes) noexcept {
  if (text.size() <= most_bytes) return text;
  std::size_t end = most_bytes;
  while (end > 0 && U8_IS_TRAIL(text[end])) --end;
  return text.substr(0, end);
}

int count_characters(std::string_view text) noexcept {
  return static_cast<int>(std::ranges::count_if(text, [](char byte) { return !U8_IS_TRAIL(byte); }));
}

}  // namespace attnlab

// See the header. The table of valid second bytes is Unicode's table 3-7.
#include "model/tokenizer_utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include <attnlab/error.h>

namespace attnlab::model::tokenizer_parts {
namespace {

struct Lead {
  int bytes;  // 0: no character begins with this byte
  unsigned char second_low, second_high;
};

Lead lead_of(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step first_character(std::string_view text) noexcept {
  const Lead lead = lead_of(static_cast<unsigned char>(text[0]));
  if (lead.bytes == 0) return {Utf8State::invalid, 1};
  const int there = static_cast<int>(std::min<std::size_t>(text.size(), static_cast<std::size_t>(lead.bytes)));
  for (int i = 1; i < there; ++i) {
    const auto byte = static_cast<unsigned char>(text[static_cast<std::size_t>(i)]);
    const bool fits = i == 1 ? lead.second_low <= byte && byte <= lead.second_high : (byte & 0xC0) == 0x80;
    if (!fits) return {Utf8State::invalid, i};
  }
  return {there == lead.bytes ? Utf8State::valid : Utf8State::incomplete, there};
}

std::string_view last_character(std::string_view text) noexcept {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return text.substr(begin);
}

char32_t code_point(std::string_view character) noexcept {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (lead < 0x80) return lead;
  char32_t value = lead & (0xFFU >> (character.size() + 1));
  for (const char c : character.substr(1)) value = (value << 6) | (static_cast<unsigned char>(c) & 0x3FU);
  return value;
}

void append_utf8(char32_t code_point, std::string& text) {
  const auto trail = [&](int shift) { text += static_cast<char>(0x80U | ((code_point >> shift) & 0x3FU)); };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0U | (code_point >> 6));
    trail(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0U | (code_point >> 12));
    trail(6);
    trail(0);
  } else {
    text += static_cast<char>(0xF0U | (code_point >> 18));
    trail(12);
    trail(6);
    trail(0);
  }
}

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

namespace attnlab::model {

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  for (std::size_t offset = 0; offset < text.size();) {
    const auto step = tokenizer_parts::first_character(text.substr(offset));
    if (step.state != tokenizer_parts::Utf8State::valid) return offset;
    offset += static_cast<std::size_t>(step.bytes);
  }
  return std::nullopt;
}

}  // namespace attnlab::model

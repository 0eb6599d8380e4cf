// See the header.
#include "model/tokenizers/icu.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <attnlab/error.h>

#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

const icu::Normalizer2* normalizer_of(NormalForm form, UErrorCode& status) {
  switch (form) {
    case NormalForm::nfc:
      return icu::Normalizer2::getNFCInstance(status);
    case NormalForm::nfd:
      return icu::Normalizer2::getNFDInstance(status);
    case NormalForm::nfkc:
      return icu::Normalizer2::getNFKCInstance(status);
    default:
      return icu::Normalizer2::getNFKDInstance(status);
  }
}

}  // namespace

std::string to_normal_form(std::string_view text, NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = normalizer_of(form, status);
  std::string normal;
  if (U_SUCCESS(status)) {
    const auto size = static_cast<std::int32_t>(text.size());
    icu::StringByteSink<std::string> sink(&normal, size);
    normalizer->normalizeUTF8(0, icu::StringPiece(text.data(), size), sink, nullptr, status);
  }
  if (U_FAILURE(status)) throw Error("", std::string("ICU cannot normalize the text (") + u_errorName(status) + ")");
  return normal;
}

std::string to_lower_case(std::string_view text) {
  std::string lower;
  lower.reserve(text.size());
  while (!text.empty()) {
    const auto size = static_cast<std::size_t>(first_character(text).bytes);
    const char32_t c = code_point(text.substr(0, size));
    append_utf8(c == 0x130 ? U'i' : static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))), lower);
    if (c == 0x130) append_utf8(0x307, lower);  // I with a dot: the only one that becomes two characters
    text.remove_prefix(size);
  }
  return lower;
}

bool is_number(char32_t c) noexcept {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_N_MASK) != 0;
}

bool is_punctuation(char32_t c) noexcept {
  const bool of_ascii =
      (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
  return of_ascii || (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_P_MASK) != 0;
}

bool is_mark(char32_t c) noexcept {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_M_MASK) != 0;
}

bool is_white_space(char32_t c) noexcept {
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}

bool is_word(char32_t c) noexcept {
  const auto character = static_cast<UChar32>(c);
  return u_isUAlphabetic(character) || u_hasBinaryProperty(character, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(character) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

std::size_t leading_white_space(std::string_view text) noexcept {
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto size = static_cast<std::size_t>(first_character(rest).bytes);
    if (!is_white_space(code_point(rest.substr(0, size)))) break;
    rest.remove_prefix(size);
  }
  return text.size() - rest.size();
}

std::size_t trailing_white_space(std::string_view text) noexcept {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view last = last_character(rest);
    if (!is_white_space(code_point(last))) break;
    rest.remove_suffix(last.size());
  }
  return text.size() - rest.size();
}

}  // namespace attnlab::model::tokenizer_parts

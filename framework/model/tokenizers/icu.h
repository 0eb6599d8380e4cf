// The Unicode part of tokenizer.json, done by ICU: normal forms, lower case, character classes.
// Not here: regular expressions (tokenizer_pattern.h).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace attnlab::model::tokenizer_parts {

enum class NormalForm { nfc, nfd, nfkc, nfkd };
/// Throws attnlab::Error if ICU has not got its data.
std::string to_normal_form(std::string_view text, NormalForm form);

/// Character by character, as Rust's char::to_lowercase: no rule that looks at the neighbours (final sigma).
std::string to_lower_case(std::string_view text);

bool is_number(char32_t c) noexcept;       // general categories Nd, Nl, No
bool is_punctuation(char32_t c) noexcept;  // general categories P*, and the symbols among ASCII's punctuation
bool is_mark(char32_t c) noexcept;         // general categories Mn, Mc, Me
bool is_white_space(char32_t c) noexcept;  // the property White_Space
bool is_word(char32_t c) noexcept;         // \w of UTS 18

/// Bytes of white space at the two ends of a UTF-8 text.
std::size_t leading_white_space(std::string_view text) noexcept;
std::size_t trailing_white_space(std::string_view text) noexcept;

}  // namespace attnlab::model::tokenizer_parts

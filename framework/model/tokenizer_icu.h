// The Unicode part of tokenizer.json, done by ICU: regular expressions, canonical composition, character classes.
// Published patterns were written for Oniguruma; the flags make ICU agree with it where the two differ by default
// (^ and $ match at every line, and only "\n" ends a line).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <unicode/regex.h>

#include "model/tokenizer_json.h"

namespace attnlab::model::tokenizer_parts {

/// Bytes [begin, end) of a text, and whether the pattern matched there.
struct Range {
  std::size_t begin;
  std::size_t end;
  bool matched;
};

/// {"String": ...} or {"Regex": ...}. Immutable; searched through a PatternFinder.
class Pattern {
 public:
  /// Throws attnlab::Error for any other object, an empty pattern, or an expression ICU cannot compile.
  static Pattern parse(const JsonNode& node);
  /// `expression` is our own and correct.
  static Pattern regex(std::string_view expression);

 private:
  friend class PatternFinder;
  std::string literal_;  // searched for if regex_ is null
  std::unique_ptr<icu::RegexPattern> regex_;
};

/// The scratch memory of one search after another in one thread. Must not outlive its pattern.
class PatternFinder {
 public:
  explicit PatternFinder(const Pattern& pattern);
  /// Cuts `text` (UTF-8) into ranges that cover it in order, matches and what is between them; an empty match has an
  /// empty range. Valid until the next call. Throws attnlab::Error if the expression needs too much memory.
  const std::vector<Range>& find(std::string_view text);

 private:
  void find_literal(std::string_view text);
  void find_regex(std::string_view text);
  void add_match(std::size_t begin, std::size_t end);

  const Pattern& pattern_;
  std::unique_ptr<icu::RegexMatcher> matcher_;
  icu::UnicodeString utf16_;
  std::vector<Range> ranges_;
};

/// Every match replaced by `content`, literally.
std::string replace_all(PatternFinder& finder, std::string_view text, std::string_view content);

std::string compose_nfc(std::string_view text);

bool is_number(char32_t c) noexcept;       // general categories Nd, Nl, No
bool is_white_space(char32_t c) noexcept;  // the property White_Space
bool is_word(char32_t c) noexcept;         // \w of UTS 18

}  // namespace attnlab::model::tokenizer_parts

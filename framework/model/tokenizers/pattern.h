// The patterns of a tokenizer.json. The Hugging Face library searches with Oniguruma (6.9.10), so the same engine
// searches here: what `{3}+` repeats, what `\h`, `\b`, `&&` and `^` mean, is then a matter of one library and of
// nothing that is translated (ICU, for one, takes `{3}+` as possessive and gives other ids without a word). What an
// older Oniguruma reads otherwise than 6.9.10 is rewritten for it or refused.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizers/json.h"

struct re_pattern_buffer;  // Oniguruma's, whose header defines macros that collide with ICU's names
struct re_registers;

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
  /// Throws attnlab::Error for any other object, an empty pattern, or an expression Oniguruma cannot compile or, being
  /// older than 6.9.10, would match otherwise.
  static Pattern parse(const JsonNode& node);
  /// `expression` is our own and correct.
  static Pattern regex(std::string_view expression);

 private:
  friend class PatternFinder;
  struct Free {
    void operator()(re_pattern_buffer* regex) const noexcept;
  };
  /// Empty if it compiled, else Oniguruma's reason.
  std::string compile(std::string_view expression);

  std::string literal_;  // searched for if regex_ is null
  std::unique_ptr<re_pattern_buffer, Free> regex_;
};

/// The scratch memory of one search after another in one thread. Must not outlive its pattern.
class PatternFinder {
 public:
  explicit PatternFinder(const Pattern& pattern);
  /// Cuts `text` (UTF-8) into ranges that cover it in order, matches and what is between them; an empty match has an
  /// empty range. Valid until the next call. Throws attnlab::Error if the expression needs too much time or memory:
  /// Oniguruma gives up after ten million steps back within one match.
  const std::vector<Range>& find(std::string_view text);

 private:
  struct Free {
    void operator()(re_registers* region) const noexcept;
  };
  void find_literal(std::string_view text);
  void find_regex(std::string_view text);
  void add_match(std::size_t begin, std::size_t end);

  const Pattern& pattern_;
  std::unique_ptr<re_registers, Free> region_;
  std::vector<Range> ranges_;
};

/// Every match replaced by `content`, literally.
std::string replace_all(PatternFinder& finder, std::string_view text, std::string_view content);

}  // namespace attnlab::model::tokenizer_parts

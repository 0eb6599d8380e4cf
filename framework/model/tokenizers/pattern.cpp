// See the header. Syntax and options are the defaults that the Hugging Face library takes.
#include "model/tokenizers/pattern.h"

#include <algorithm>
#include <mutex>

#include <oniguruma.h>

#include <attnlab/api.h>
#include <attnlab/error.h>

#include "model/checkpoints/strict_json.h"
#include "model/tokenizers/utf8.h"

namespace attnlab::model::tokenizer_parts {
namespace {

const OnigUChar* bytes_of(std::string_view text) {
  return reinterpret_cast<const OnigUChar*>(text.data());
}

std::string text_of(int error, OnigErrorInfo* info) {
  OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length = info != nullptr ? onig_error_code_to_str(text, error, info) : onig_error_code_to_str(text, error);
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(length)};
}

// What an Oniguruma before 6.9.10 (Debian 12 has 6.9.8) needs to be told to match as 6.9.10 does:
//   [[:punct:]]  has the symbols, too (kkos/oniguruma#268)
//   \R           after a greedy repeat was not found (kkos/oniguruma#284); its definition is
// `conditional` is set if there is one, `(?(1)a|b)`, for which the second fault has no other spelling.
std::string for_older_engine(std::string_view expression, bool& conditional) {
  std::string rewritten;
  int classes = 0;  // open brackets; a class may stand in a class
  const auto copy = [&](std::size_t bytes) {
    rewritten += expression.substr(0, bytes);
    expression.remove_prefix(std::min(bytes, expression.size()));
  };
  const auto replace = [&](std::string_view old, std::string_view by) {
    if (!expression.starts_with(old)) return false;
    expression.remove_prefix(old.size());
    rewritten += by;
    return true;
  };
  while (!expression.empty()) {
    if (classes == 0 && replace("\\R", "(?>\\x0D\\x0A|[\\x0A-\\x0D\\x{85}\\x{2028}\\x{2029}])")) continue;
    if (classes > 0 && replace("[:punct:]", "\\p{P}\\p{S}")) continue;
    if (classes > 0 && replace("[:^punct:]", "[^\\p{P}\\p{S}]")) continue;
    if (classes == 0 && expression.starts_with("(?#")) {
      copy(std::min(expression.find(')'), expression.size() - 1) + 1);
    } else if (expression.front() == '\\') {
      copy(2);
    } else if (expression.front() == '[') {
      ++classes;
      copy(expression.starts_with("[^") ? 2 : 1);
      if (expression.starts_with(']')) copy(1);  // the first one is a character
    } else {
      if (classes > 0 && expression.front() == ']') --classes;
      if (classes == 0 && expression.starts_with("(?(")) conditional = true;
      copy(1);
    }
  }
  return rewritten;
}

}  // namespace

void Pattern::Free::operator()(re_pattern_buffer* regex) const noexcept {
  onig_free(regex);
}
void PatternFinder::Free::operator()(re_registers* region) const noexcept {
  onig_region_free(region, 1);
}

std::string Pattern::compile(std::string_view expression) {
  static std::mutex one_at_a_time;  // Oniguruma's tables are filled while it compiles
  const std::scoped_lock lock(one_at_a_time);
  static OnigEncoding utf8 = ONIG_ENCODING_UTF8;
  static const int ready = onig_initialize(&utf8, 1);
  ATTNLAB_CHECK(ready == ONIG_NORMAL, "Oniguruma does not start");
  std::string rewritten(expression);
  if constexpr (ONIGURUMA_VERSION_INT < 60910) {
    bool conditional = false;
    rewritten = for_older_engine(expression, conditional);
    if (conditional) return "this Oniguruma is older than 6.9.10 and would match its conditional otherwise";
  }
  OnigRegex regex = nullptr;
  OnigErrorInfo info{};
  const int result = onig_new(&regex, bytes_of(rewritten), bytes_of(rewritten) + rewritten.size(), ONIG_OPTION_NONE,
                              utf8, ONIG_SYNTAX_ONIGURUMA, &info);
  if (result != ONIG_NORMAL) return text_of(result, &info);
  regex_.reset(regex);
  return {};
}

Pattern Pattern::parse(const JsonNode& node) {
  Pattern pattern;
  const auto literal = node.find("String");
  const auto regex = node.find("Regex");
  if (literal.has_value() == regex.has_value()) node.refuse("must have either 'String' or 'Regex'");
  node.has_only({"String", "Regex"});
  if ((literal ? *literal : *regex).string().empty()) node.refuse("is empty");
  if (literal) {
    pattern.literal_ = literal->string();
    return pattern;
  }
  const std::string problem = pattern.compile(regex->string());
  if (!problem.empty()) regex->refuse(in_quotes(regex->string()) + " is not a regular expression (" + problem + ")");
  return pattern;
}

Pattern Pattern::regex(std::string_view expression) {
  Pattern pattern;
  ATTNLAB_CHECK(pattern.compile(expression).empty(), "a built-in regular expression does not compile");
  return pattern;
}

PatternFinder::PatternFinder(const Pattern& pattern) : pattern_(pattern) {
  if (pattern_.regex_ != nullptr) region_.reset(onig_region_new());
}

const std::vector<Range>& PatternFinder::find(std::string_view text) {
  ranges_.clear();
  if (region_) {
    find_regex(text);
  } else {
    find_literal(text);
  }
  const std::size_t end = ranges_.empty() ? 0 : ranges_.back().end;
  if (end < text.size()) ranges_.push_back({end, text.size(), false});
  return ranges_;
}

void PatternFinder::add_match(std::size_t begin, std::size_t end) {
  const std::size_t previous = ranges_.empty() ? 0 : ranges_.back().end;
  if (previous < begin) ranges_.push_back({previous, begin, false});
  ranges_.push_back({begin, end, true});
}

void PatternFinder::find_literal(std::string_view text) {
  const std::string& literal = pattern_.literal_;
  for (std::size_t at = text.find(literal); at != text.npos; at = text.find(literal, at + literal.size())) {
    add_match(at, at + literal.size());
  }
}

// An empty match where the previous match ended is none: the search goes on one character further.
void PatternFinder::find_regex(std::string_view text) {
  const OnigUChar* const begin = bytes_of(text);
  const OnigUChar* const end = begin + text.size();
  std::size_t at = 0;  // what \G means, too
  while (at <= text.size()) {
    const int result = onig_search(pattern_.regex_.get(), begin, end, begin + at, end, region_.get(), ONIG_OPTION_NONE);
    if (result == ONIG_MISMATCH) return;
    if (result < 0) {
      throw Error("", "the tokenizer's regular expression fails on this text (" + text_of(result, nullptr) + ")",
                  "cut the text into smaller pieces");
    }
    const auto match_begin = static_cast<std::size_t>(region_->beg[0]);
    const auto match_end = static_cast<std::size_t>(region_->end[0]);
    const bool again = match_begin == match_end && !ranges_.empty() && ranges_.back().end == match_end;
    if (again) {
      if (match_end >= text.size()) return;
      at += static_cast<std::size_t>(first_character(text.substr(at)).bytes);
    } else {
      add_match(match_begin, match_end);
      at = match_end;
    }
  }
}

std::string replace_all(PatternFinder& finder, std::string_view text, std::string_view content) {
  std::string replaced;
  replaced.reserve(text.size());
  for (const Range& range : finder.find(text)) {
    replaced += range.matched ? content : text.substr(range.begin, range.end - range.begin);
  }
  return replaced;
}

}  // namespace attnlab::model::tokenizer_parts

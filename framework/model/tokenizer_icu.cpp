// See the header. ICU searches UTF-16; offsets are carried back to UTF-8 while the matches come in order.
#include "model/tokenizer_icu.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <attnlab/api.h>
#include <attnlab/error.h>

#include "model/strict_json.h"

namespace attnlab::model::tokenizer_parts {
namespace {

constexpr std::uint32_t kLikeOniguruma = UREGEX_MULTILINE | UREGEX_UNIX_LINES;

icu::StringPiece piece_of(std::string_view text) {
  return {text.data(), static_cast<std::int32_t>(text.size())};
}

// Walks a UTF-8 text by UTF-16 offsets that only grow.
class ByteOffset {
 public:
  explicit ByteOffset(std::string_view text) : text_(text) {}
  std::size_t of(std::int32_t utf16) {
    while (units_ < utf16) {
      const auto lead = static_cast<unsigned char>(text_[bytes_]);
      bytes_ += lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
      units_ += lead < 0xF0 ? 1 : 2;
    }
    return bytes_;
  }

 private:
  std::string_view text_;
  std::size_t bytes_ = 0;
  std::int32_t units_ = 0;
};

}  // namespace

Pattern Pattern::parse(const JsonNode& node) {
  Pattern pattern;
  const auto literal = node.find("String");
  const auto regex = node.find("Regex");
  if (literal.has_value() == regex.has_value()) node.refuse("must have either 'String' or 'Regex'");
  if ((literal ? *literal : *regex).string().empty()) node.refuse("is empty");
  if (literal) {
    pattern.literal_ = literal->string();
    return pattern;
  }
  UErrorCode status = U_ZERO_ERROR;
  UParseError position;
  const auto expression = icu::UnicodeString::fromUTF8(piece_of(regex->value().get_ref<const std::string&>()));
  pattern.regex_.reset(icu::RegexPattern::compile(expression, kLikeOniguruma, position, status));
  if (U_FAILURE(status)) {
    regex->refuse(in_quotes(regex->string()) + " is not a regular expression that ICU knows (" + u_errorName(status) +
                  " at character " + std::to_string(position.offset) + ")");
  }
  return pattern;
}

Pattern Pattern::regex(std::string_view expression) {
  Pattern pattern;
  UErrorCode status = U_ZERO_ERROR;
  UParseError position;
  pattern.regex_.reset(
      icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(piece_of(expression)), kLikeOniguruma, position, status));
  ATTNLAB_CHECK(U_SUCCESS(status), "a built-in regular expression does not compile");
  return pattern;
}

PatternFinder::PatternFinder(const Pattern& pattern) : pattern_(pattern) {
  if (pattern_.regex_ == nullptr) return;
  UErrorCode status = U_ZERO_ERROR;
  matcher_.reset(pattern_.regex_->matcher(status));
  // ICU remembers a state for every character that \s+ takes; its default limit ends a search in 800 kB of spaces.
  if (U_SUCCESS(status)) matcher_->setStackLimit(0, status);
  if (U_FAILURE(status)) throw Error("", std::string("ICU cannot search (") + u_errorName(status) + ")");
}

const std::vector<Range>& PatternFinder::find(std::string_view text) {
  ranges_.clear();
  if (matcher_) {
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
  // An empty match right behind a match is none (Oniguruma's rule; ICU would report it).
  if (begin == end && begin == previous && !ranges_.empty()) return;
  if (previous < begin) ranges_.push_back({previous, begin, false});
  ranges_.push_back({begin, end, true});
}

void PatternFinder::find_literal(std::string_view text) {
  const std::string& literal = pattern_.literal_;
  for (std::size_t at = text.find(literal); at != text.npos; at = text.find(literal, at + literal.size())) {
    add_match(at, at + literal.size());
  }
}

void PatternFinder::find_regex(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  utf16_ = icu::UnicodeString::fromUTF8(piece_of(text));
  matcher_->reset(utf16_);
  ByteOffset offset(text);
  while (matcher_->find(status)) {
    const std::size_t begin = offset.of(matcher_->start(status));
    add_match(begin, offset.of(matcher_->end(status)));
  }
  if (U_FAILURE(status)) {
    throw Error("", std::string("the tokenizer's regular expression fails on this text (") + u_errorName(status) + ")",
                "cut the text into smaller pieces");
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

std::string compose_nfc(std::string_view text) {
  static UErrorCode missing = U_ZERO_ERROR;
  static const icu::Normalizer2* const nfc = icu::Normalizer2::getNFCInstance(missing);
  UErrorCode status = missing;
  std::string composed;
  if (U_SUCCESS(status)) {
    icu::StringByteSink<std::string> sink(&composed, static_cast<std::int32_t>(text.size()));
    nfc->normalizeUTF8(0, piece_of(text), sink, nullptr, status);
  }
  if (U_FAILURE(status)) throw Error("", std::string("ICU cannot compose the text (") + u_errorName(status) + ")");
  return composed;
}

bool is_number(char32_t c) noexcept {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_N_MASK) != 0;
}

bool is_white_space(char32_t c) noexcept {
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}

bool is_word(char32_t c) noexcept {
  const auto character = static_cast<UChar32>(c);
  return u_isUAlphabetic(character) || u_hasBinaryProperty(character, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(character) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

}  // namespace attnlab::model::tokenizer_parts

// Regular expressions mean what Oniguruma says, since the Hugging Face library searches with it. Each case is a
// construct that other engines (ICU, PCRE, Rust's fancy-regex) read otherwise or not at all; the expected pieces follow
// from Oniguruma's own description of its syntax.
#include "unit/tokenizer_fixture.h"

namespace attnlab::model::tokenizer_test {
namespace {

using nlohmann::json;

json splitting(const std::string& pattern) {
  return {{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
}

void expect_cut(const std::string& pattern, const std::string& text, const Pieces& expected) {
  expect_pieces(splitting(pattern), text, expected);
}

TEST(TokenizerPattern, RepeatsAnIntervalThatAPlusFollows) {
  expect_cut("\\d{3}+", "1234567x", {"123456", "7x"});
  expect_cut("\\p{N}{1,3}+", "12345x", {"12345", "x"});
  expect_cut("a{2}+b", "aaaab", {"aaaab"});
}

TEST(TokenizerPattern, TakesAPlusAfterAPlusAsPossessive) {
  expect_cut("a++a", "aaa", {"aaa"});
  expect_cut("a++b", "aab", {"aab"});
}

TEST(TokenizerPattern, TakesAnIntervalWithoutALowerEnd) {
  expect_cut("xa{,2}", "xaaa", {"xaa", "a"});
}

TEST(TokenizerPattern, TakesHForAHexadecimalDigit) {
  expect_cut("\\h+", "cafe 1F\tx", {"cafe", " ", "1F", "\tx"});
}

// [[:punct:]] is \p{P} and \p{S} since Oniguruma 6.9.9, whatever the version that is linked.
TEST(TokenizerPattern, CountsSymbolsAsPunctuation) {
  expect_cut("[[:punct:]]+", "a$+<^|~b!€", {"a", "$+<^|~", "b", "!€"});
  expect_cut("[^[:punct:]b]+", "a$ab+a", {"a", "$", "a", "b+", "a"});
  expect_cut("[[:^punct:]$]+", "a$a+", {"a$a", "+"});
  expect_cut("[]x[:punct:]]+", "a]x$b", {"a", "]x$", "b"});
  expect_cut("(?#[)\\[[:punct:]", "a[:b", {"a", "[:", "b"});  // outside a class the name is a class of its letters
}

TEST(TokenizerPattern, TakesMarksAndConnectorsForWordCharacters) {
  expect_cut("\\w+", "e\u0301_a-b", {"e\u0301_a", "-", "b"});
  expect_cut("\\bb", "b\u0301b b", {"b", "\u0301b ", "b"});  // no boundary between a letter and its accent
}

TEST(TokenizerPattern, LetsAnchorsMatchAtLinesAndAtTheTwoEnds) {
  expect_cut("^a", "a\na", {"a", "\n", "a"});
  expect_cut("a$", "aa\naa", {"a", "a", "\na", "a"});
  expect_cut("\\Aa", "a\na", {"a", "\na"});
  expect_cut("a\\z", "a\na", {"a\n", "a"});
  expect_cut("a\\Z", "aa\n", {"a", "a", "\n"});
}

TEST(TokenizerPattern, ContinuesWithGWhereTheSearchBegan) {
  expect_cut("\\A\\d{2}|\\G\\d{3}", "12345678x901", {"12", "345", "678", "x901"});
}

TEST(TokenizerPattern, KnowsLineBreaksAndWholeCharacters) {
  expect_cut("\\R", "a\r\nb\nc", {"a", "\r\n", "b", "\n", "c"});
  expect_cut("a.*\\R", "ab\nc", {"ab\n", "c"});
  expect_cut("\\A\\s*\\R", "\n\r\nc", {"\n\r\n", "c"});
  expect_cut("[\\R]", "aRb", {"a", "R", "b"});  // within a class it is a letter
  expect_cut("\\X", "e\u0301x", {"e\u0301", "x"});
}

TEST(TokenizerPattern, CombinesClasses) {
  expect_cut("[a-z&&[^aeiou]]+", "hello", {"h", "e", "ll", "o"});
  expect_cut("[[:upper:][0-9]]+", "aB1c", {"a", "B1", "c"});
}

TEST(TokenizerPattern, SwitchesCaseWithinAGroup) {
  expect_cut("(?i:ab)c", "ABc abC", {"ABc", " abC"});
}

TEST(TokenizerPattern, LooksAround) {
  expect_cut("(?<=a|bc)x", "axbcxx", {"a", "x", "bc", "x", "x"});
  expect_cut("(?<!\\d)\\d{3}(?!\\d)", "1234 567", {"1234 ", "567"});
}

// GPT-4's pattern as the files of Llama 3 have it.
TEST(TokenizerPattern, CutsAsLlama3) {
  expect_cut(
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
      "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      "It'S 12345 !!\n  ok", {"It", "'S", " ", "123", "45", " !!\n", " ", " ok"});
}

TEST(TokenizerPattern, IsRefusedWithOnigurumasReason) {
  json file = tokenizer_of({"a"});
  const auto given = [&](const std::string& pattern) {
    file["pre_tokenizer"] = splitting(pattern);
    return error_of([&] { (void)load(file); });
  };
  EXPECT_NE(given("(a").find("pre_tokenizer.pattern.Regex \"(a\" is not a regular expression (end pattern with "
                             "unmatched parenthesis)"),
            std::string::npos);
  EXPECT_NE(given("\\p{Nonsense}").find("invalid character property name {Nonsense}"), std::string::npos);
}

// Oniguruma before 6.9.10 has a fault in them (kkos/oniguruma#284): matched right or refused by name.
TEST(TokenizerPattern, IsRefusedOrRightWhereItHasAConditional) {
  json file = tokenizer_of({"a", "b", "c", "ab"});
  file["model"]["ignore_merges"] = true;
  file["pre_tokenizer"] = splitting("(a)?(?(1)b|c)");
  const std::string refusal = error_of([&] { (void)load(file); });
  if (refusal.empty()) {
    EXPECT_EQ(load(file)->encode("abcb"), (std::vector<TokenId>{3, 2, 1}));
  } else {
    EXPECT_NE(refusal.find("older than 6.9.10 and would match its conditional otherwise"), std::string::npos)
        << refusal;
  }
}

// Where the Hugging Face library panics: ten million steps back within one match.
TEST(TokenizerPattern, GivesUpWhereASearchWouldNotEnd) {
  json file = tokenizer_of({"a", "!"});
  file["pre_tokenizer"] = splitting("(?:a|aa)+$");
  const auto tokenizer = load(file);
  EXPECT_EQ(tokenizer->encode("aaa").size(), 3U);
  EXPECT_NE(error_of([&] {
              (void)tokenizer->encode(std::string(60, 'a') + "!");
            }).find("regular expression fails on this text (retry-limit-in-match over)"),
            std::string::npos);
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

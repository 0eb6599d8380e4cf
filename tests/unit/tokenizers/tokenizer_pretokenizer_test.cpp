// How texts are cut, seen from outside: with ignore_merges a piece that is a token has its id, so the vocabulary of
// each test is the list of pieces it expects (and every single character).
#include "unit/tokenizer_fixture.h"

namespace attnlab::model::tokenizer_test {
namespace {

using nlohmann::json;

json split(const json& pattern, const std::string& behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}, {"invert", invert}};
}

TEST(TokenizerSplit, CutsAtMatchesInFiveWays) {
  const json dash = {{"String", "-"}};
  expect_pieces(split(dash, "Isolated"), "a-bc--d-", {"a", "-", "bc", "-", "-", "d", "-"});
  expect_pieces(split(dash, "Removed"), "a-bc--d-", {"a", "bc", "d"});
  expect_pieces(split(dash, "MergedWithPrevious"), "a-bc--d-", {"a-", "bc-", "-", "d-"});
  expect_pieces(split(dash, "MergedWithNext"), "a-bc--d-", {"a", "-bc", "-", "-d", "-"});
  expect_pieces(split(dash, "Contiguous"), "a-bc--d-", {"a", "-", "bc", "--", "d", "-"});
}

// The example of the Hugging Face library's own tests.
TEST(TokenizerSplit, CutsBetweenMatchesWhenInverted) {
  const json words = {{"Regex", "\\w+|[^\\w\\s]+"}};
  const std::string text = "How are you doing?";
  expect_pieces(split(words, "Removed", true), text, {"How", "are", "you", "doing", "?"});
  expect_pieces(split(words, "Isolated", true), text, {"How", " ", "are", " ", "you", " ", "doing", "?"});
  expect_pieces(split(words, "MergedWithPrevious", true), text, {"How ", "are ", "you ", "doing", "?"});
  expect_pieces(split(words, "MergedWithNext", true), text, {"How", " are", " you", " doing", "?"});
  expect_pieces(split(words, "Contiguous", true), text, {"How", " ", "are", " ", "you", " ", "doing?"});
}

TEST(TokenizerSplit, TreatsAStringLiterallyAndARegexNot) {
  expect_pieces(split({{"String", "."}}, "Isolated"), "ab.c", {"ab", ".", "c"});
  expect_pieces(split({{"Regex", "."}}, "Isolated"), "ab.c", {"a", "b", ".", "c"});
}

TEST(TokenizerSplit, CutsAtEmptyMatches) {
  expect_pieces(split({{"Regex", "(?=[A-Z])"}}, "Isolated"), "oneTwoThree", {"one", "Two", "Three"});
}

TEST(TokenizerSplit, LetsAnchorsMatchAtEveryLineAsOnigurumaDoes) {
  expect_pieces(split({{"Regex", "^x"}}, "Isolated"), "xa\nxa", {"x", "a\n", "x", "a"});
}

TEST(TokenizerSplit, KnowsWhereCharactersBeginInAnyPlane) {
  expect_pieces(split({{"Regex", "b"}}, "Isolated"), "é🙂b語b🙂", {"é🙂", "b", "語", "b", "🙂"});
}

TEST(TokenizerSplit, FailsOnNoLengthOfText) {
  const auto file = [] {
    json tokenizer = tokenizer_of({"a", " ", "  "});
    tokenizer["model"]["merges"].push_back({" ", " "});
    tokenizer["pre_tokenizer"] = split({{"Regex", "\\s+(?!\\S)|\\s+|(?:a|b)+"}}, "Isolated");
    return tokenizer;
  }();
  EXPECT_EQ(load(file)->encode(std::string(1'500'000, ' ')).size(), 750'000U);
  EXPECT_EQ(load(file)->encode(std::string(1'500'000, 'a')).size(), 1'500'000U);
}

TEST(TokenizerDigits, StandAloneOrTogether) {
  expect_pieces({{"type", "Digits"}, {"individual_digits", true}}, "ab 123c", {"ab ", "1", "2", "3", "c"});
  expect_pieces({{"type", "Digits"}, {"individual_digits", false}}, "ab 123c", {"ab ", "123", "c"});
  expect_pieces({{"type", "Digits"}}, "12³Ⅳx", {"12³Ⅳ", "x"});  // categories Nd, No, Nl
}

// The example of the Hugging Face library's own tests, and the other behaviours from their definitions.
TEST(TokenizerPunctuation, StandsAloneUnlessToldOtherwise) {
  const std::string text = "Hey friend!     How are you?!?";
  expect_pieces({{"type", "Punctuation"}}, text, {"Hey friend", "!", "     How are you", "?", "!", "?"});
  const auto with = [](const char* behavior) { return json{{"type", "Punctuation"}, {"behavior", behavior}}; };
  expect_pieces(with("Isolated"), text, {"Hey friend", "!", "     How are you", "?", "!", "?"});
  expect_pieces(with("Removed"), text, {"Hey friend", "     How are you"});
  expect_pieces(with("MergedWithPrevious"), text, {"Hey friend!", "     How are you?", "!", "?"});
  expect_pieces(with("MergedWithNext"), text, {"Hey friend", "!     How are you", "?", "!", "?"});
  expect_pieces(with("Contiguous"), text, {"Hey friend", "!", "     How are you", "?!?"});
}

// Categories Pc, Pd, Ps, Pe, Pi, Pf and Po of Unicode, and of ASCII also the symbols; other symbols are none.
TEST(TokenizerPunctuation, IsUnicodesAndAllOfAsciis) {
  expect_pieces({{"type", "Punctuation"}, {"behavior", "Removed"}}, "a$b+c<d^e`f|g~h_i",
                {"a", "b", "c", "d", "e", "f", "g", "h", "i"});
  expect_pieces({{"type", "Punctuation"}, {"behavior", "Removed"}}, "a«b—c。d、e‿f", {"a", "b", "c", "d", "e", "f"});
  expect_pieces({{"type", "Punctuation"}, {"behavior", "Removed"}}, "a€b°c", {"a€b°c"});
}

TEST(TokenizerByteLevel, CutsAsGpt2UnlessToldNotTo) {
  const json plain = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  expect_pieces(plain, "Hello there, it's\n 42 ", {"Hello", "Ġthere", ",", "Ġit", "'s", "Ċ", "Ġ42", "Ġ"});
  json whole = plain;
  whole["use_regex"] = false;
  expect_pieces(whole, "Hello there", {"HelloĠthere"});
}

TEST(TokenizerByteLevel, AddsAPrefixSpaceWhereThereIsNone) {
  const json prefixed = {{"type", "ByteLevel"}, {"add_prefix_space", true}};
  expect_pieces(prefixed, "one two", {"Ġone", "Ġtwo"});
  expect_pieces(prefixed, " one two", {"Ġone", "Ġtwo"});
}

TEST(TokenizerMetaspace, OpensAWordWithEverySpace) {
  const json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}};
  expect_pieces(metaspace, "one  two ", {"▁one", "▁", "▁two", "▁"});
  expect_pieces(metaspace, " one", {"▁one"});
  json unsplit = metaspace;
  unsplit["split"] = false;
  expect_pieces(unsplit, "one two", {"▁one▁two"});
}

TEST(TokenizerMetaspace, PrependsByScheme) {
  const auto sequence = [](const json& metaspace_fields) {
    json metaspace = {{"type", "Metaspace"}, {"replacement", "▁"}};
    metaspace.update(metaspace_fields);
    return json{{"type", "Sequence"}, {"pretokenizers", {split({{"String", "-"}}, "Isolated"), metaspace}}};
  };
  expect_pieces(sequence({{"prepend_scheme", "always"}}), "a-b", {"▁a", "▁-", "▁b"});
  expect_pieces(sequence({{"prepend_scheme", "first"}}), "a-b", {"▁a", "-", "b"});
  expect_pieces(sequence({{"prepend_scheme", "never"}}), "a-b", {"a", "-", "b"});
  expect_pieces(sequence({{"add_prefix_space", true}}), "a-b", {"▁a", "▁-", "▁b"});
  expect_pieces(sequence({{"add_prefix_space", false}}), "a-b", {"a", "-", "b"});
}

TEST(TokenizerSequence, CutsThePiecesOfThePreviousStep) {
  const json steps = {{"type", "Sequence"},
                      {"pretokenizers",
                       {split({{"Regex", "\\p{N}{1,3}"}}, "Isolated"),
                        split({{"String", ","}}, "Removed"),
                        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  expect_pieces(steps, "a,1234 b", {"a", "123", "4", "Ġb"});
}

// DeepSeek's three patterns: sets with escapes, ranges of ideographs, and a byte level at the end.
TEST(TokenizerSequence, UnderstandsTheDeepSeekPatterns) {
  const json steps = {
      {"type", "Sequence"},
      {"pretokenizers",
       {split({{"Regex", "\\p{N}{1,3}"}}, "Isolated"), split({{"Regex", "[一-龥぀-ゟ゠-ヿ]+"}}, "Isolated"),
        split({{"Regex",
                "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
                " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
              "Isolated")}}};
  expect_pieces(steps, "Hi _there (12345) 日本go ok",
                {"Hi", " _", "there", " (", "123", "45", ")", " ", "日本", "go", " ok"});
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

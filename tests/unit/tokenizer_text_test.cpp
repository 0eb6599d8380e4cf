// What happens to a text before it is cut: normalizers and added tokens; and what is put around its ids.
#include "tokenizer_fixture.h"

namespace attnlab::model::tokenizer_test {
namespace {

using Ids = std::vector<TokenId>;
using nlohmann::json;

json added(TokenId id, const std::string& content, const json& fields = json::object()) {
  json token = {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  token.update(fields);
  return token;
}

TEST(TokenizerNormalizer, ComposesCanonicallyOnlyForNfc) {
  json file = tokenizer_of({"é", "e", "\u0301", "ﬁ"});
  EXPECT_EQ(load(file)->encode("e\u0301"), (Ids{1, 2}));
  file["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(load(file)->encode("e\u0301ﬁ"), (Ids{0, 3}));  // a compatibility ligature stays
}

TEST(TokenizerNormalizer, PrependsToTextThatIsThere) {
  json file = tokenizer_of({"_", "a"});
  file["normalizer"] = {{"type", "Prepend"}, {"prepend", "_"}};
  EXPECT_EQ(load(file)->encode("a"), (Ids{0, 1}));
  EXPECT_EQ(load(file)->encode(""), (Ids{}));
}

TEST(TokenizerNormalizer, ReplacesStringsAndExpressions) {
  json file = tokenizer_of({"a", "b", ".", "$", "1"});
  file["normalizer"] = {{"type", "Replace"}, {"pattern", {{"String", "."}}}, {"content", "b"}};
  EXPECT_EQ(load(file)->encode("a.a.."), (Ids{0, 1, 0, 1, 1}));
  file["normalizer"] = {{"type", "Replace"}, {"pattern", {{"Regex", "(a)\\1*"}}}, {"content", "$1"}};
  EXPECT_EQ(load(file)->encode("aaab"), (Ids{3, 4, 1}));  // the content is literal
}

TEST(TokenizerNormalizer, RunsASequenceInOrder) {
  json file = tokenizer_of({"▁", "a"});
  file["normalizer"] = {{"type", "Sequence"},
                        {"normalizers",
                         {{{"type", "Prepend"}, {"prepend", " "}},
                          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}};
  EXPECT_EQ(load(file)->encode("a a"), (Ids{0, 1, 0, 1}));
}

TEST(TokenizerAddedTokens, AreFoundFirstAndTheLongestWins) {
  json file = tokenizer_of({"<", "a", ">", "x"});
  file["added_tokens"] = {added(4, "<a>"), added(5, "<a><a>"), added(6, "a>x")};
  EXPECT_EQ(load(file)->encode("<a><a><a>x"), (Ids{5, 4, 3}));
  EXPECT_EQ(load(file)->encode("<<a>"), (Ids{0, 4}));
  EXPECT_EQ(load(file)->encode("<ax"), (Ids{0, 1, 3}));
  EXPECT_EQ(load(file)->vocab_size(), 7);
}

TEST(TokenizerAddedTokens, MayBeLimitedToWholeWords) {
  json file = tokenizer_of({"o", "n", "y", " ", "é", "-"});
  file["added_tokens"] = {added(6, "ony", {{"single_word", true}})};
  const auto tokenizer = load(file);
  EXPECT_EQ(tokenizer->encode("ony"), (Ids{6}));
  EXPECT_EQ(tokenizer->encode("-ony "), (Ids{5, 6, 3}));
  EXPECT_EQ(tokenizer->encode("éony"), (Ids{4, 0, 1, 2}));
  EXPECT_EQ(tokenizer->encode("onyo"), (Ids{0, 1, 2, 0}));
}

TEST(TokenizerAddedTokens, MayTakeTheWhiteSpaceAround) {
  json file = tokenizer_of({" ", "a", "\t", "\u2003"});
  file["added_tokens"] = {added(4, "<l>", {{"lstrip", true}}), added(5, "<r>", {{"rstrip", true}})};
  const auto tokenizer = load(file);
  EXPECT_EQ(tokenizer->encode("a \t\u2003<l> a"), (Ids{1, 4, 0, 1}));
  EXPECT_EQ(tokenizer->encode("a <r> \t\u2003a"), (Ids{1, 0, 5, 1}));
  EXPECT_EQ(tokenizer->encode("<r> <l>"), (Ids{5, 4}));  // the space goes once
  EXPECT_EQ(tokenizer->encode(" <l>"), (Ids{4}));
}

TEST(TokenizerAddedTokens, AreLookedForAfterTheNormalizerIfNormalized) {
  json file = tokenizer_of({"<", "é", ">", "e", "\u0301"});
  file["normalizer"] = {{"type", "NFC"}};
  file["added_tokens"] = {added(5, "<é>", {{"normalized", true}, {"special", false}})};
  EXPECT_EQ(load(file)->encode("<e\u0301>"), (Ids{5}));
  file["added_tokens"] = {added(5, "<é>")};
  EXPECT_EQ(load(file)->encode("<e\u0301>"), (Ids{0, 1, 2}));
  // The token's own spelling is normalized, too.
  file["added_tokens"] = {added(5, "<e\u0301>", {{"normalized", true}, {"special", false}})};
  EXPECT_EQ(load(file)->encode("<é>"), (Ids{5}));
}

TEST(TokenizerAddedTokens, MayComeFromTheConfigAlone) {
  const json file = tokenizer_of({"a"});
  const json config = {{"added_tokens_decoder", {{"1", {{"content", "<x>"}, {"special", true}}}}},
                       {"eos_token", "<x>"}};
  EXPECT_EQ(load(file, config)->encode("a<x>"), (Ids{0, 1}));
  EXPECT_EQ(load(file, config)->eos(), 1);
}

TEST(TokenizerAddedTokens, StayInTheDecodedText) {
  json file = tokenizer_of({"a"});
  file["decoder"] = {{"type", "Fuse"}};
  file["added_tokens"] = {added(1, "<｜x｜>")};
  EXPECT_EQ(load(file)->decode(load(file)->encode("a<｜x｜>a")), "a<｜x｜>a");
}

json with_template(const json& single) {
  json file = tokenizer_of({"a", "<s>", "</s>"});
  file["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", single},
                            {"pair", json::array()},
                            {"special_tokens",
                             {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}},
                              {"</s>", {{"id", "</s>"}, {"ids", {2}}, {"tokens", {"</s>"}}}}}}};
  return file;
}
json special(const std::string& name) {
  return {{"SpecialToken", {{"id", name}, {"type_id", 0}}}};
}
const json kText = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};

TEST(TokenizerPostProcessor, PutsTheTemplateAroundThePromptOnlyWhenAsked) {
  const auto tokenizer = load(with_template({special("<s>"), kText, special("</s>")}));
  EXPECT_EQ(tokenizer->encode("aa"), (Ids{0, 0}));
  EXPECT_EQ(tokenizer->encode_with_special("aa"), (Ids{1, 0, 0, 2}));
}

TEST(TokenizerPostProcessor, YieldsToWhatTheConfigSaysExplicitly) {
  const json names = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  const auto ids = [&](const json& file, const json& settings) {
    json config = names;
    config.update(settings);
    return load(file, config)->encode_with_special("a");
  };
  const json bare = tokenizer_of({"a", "<s>", "</s>"});
  EXPECT_EQ(ids(bare, json::object()), (Ids{0}));
  EXPECT_EQ(ids(bare, {{"add_bos_token", true}}), (Ids{1, 0}));
  EXPECT_EQ(ids(bare, {{"add_bos_token", true}, {"add_eos_token", true}}), (Ids{1, 0, 2}));
  const json templated = with_template({special("<s>"), kText});
  EXPECT_EQ(ids(templated, json::object()), (Ids{1, 0}));
  EXPECT_EQ(ids(templated, {{"add_bos_token", true}}), (Ids{1, 0}));
  EXPECT_EQ(ids(templated, {{"add_bos_token", false}}), (Ids{0}));
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

// What happens to a text before it is cut: normalizers and added tokens; and what is put around its ids.
#include "unit/tokenizer_fixture.h"

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

TEST(TokenizerNormalizer, KnowsTheFourNormalForms) {
  json file = tokenizer_of({"é", "e", "\u0301", "ﬁ", "f", "i"});
  const auto ids = [&](const char* form) {
    file["normalizer"] = {{"type", form}};
    return load(file)->encode("e\u0301éﬁ");
  };
  EXPECT_EQ(ids("NFC"), (Ids{0, 0, 3}));
  EXPECT_EQ(ids("NFD"), (Ids{1, 2, 1, 2, 3}));
  EXPECT_EQ(ids("NFKC"), (Ids{0, 0, 4, 5}));
  EXPECT_EQ(ids("NFKD"), (Ids{1, 2, 1, 2, 4, 5}));
}

TEST(TokenizerNormalizer, LowersCharacterByCharacter) {
  json file = tokenizer_of({"a", "é", "i", "\u0307", "σ", "ς", "ß"});
  file["normalizer"] = {{"type", "Lowercase"}};
  // A capital I with a dot becomes two characters; the final sigma is no matter of one character.
  EXPECT_EQ(load(file)->encode("AÉİΣß"), (Ids{0, 1, 2, 3, 4, 6}));
}

TEST(TokenizerNormalizer, StripsWhiteSpaceAtTheEndsItIsToldOf) {
  json file = tokenizer_of({" ", "a", "\u2003"});
  const auto ids = [&](bool left, bool right) {
    file["normalizer"] = {{"type", "Strip"}, {"strip_left", left}, {"strip_right", right}};
    return load(file)->encode(" \u2003a a \u2003");
  };
  EXPECT_EQ(ids(true, true), (Ids{1, 0, 1}));
  EXPECT_EQ(ids(true, false), (Ids{1, 0, 1, 0, 2}));
  EXPECT_EQ(ids(false, true), (Ids{0, 2, 1, 0, 1}));
  EXPECT_EQ(ids(false, false), (Ids{0, 2, 1, 0, 1, 0, 2}));
  file["normalizer"] = {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}};
  EXPECT_EQ(load(file)->encode(" \u2003 "), (Ids{}));
}

// Two examples of the Hugging Face library's own tests.
TEST(TokenizerNormalizer, StripsAccentsThatStandAlone) {
  json file = tokenizer_of({"a", ".", "l", "m", "o", "ó"});
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFKD"}}, {{"type", "StripAccents"}}}}};
  EXPECT_EQ(load(file)->encode("ậ…"), (Ids{0, 1, 1, 1}));
  EXPECT_EQ(load(file)->encode("llamó"), (Ids{2, 2, 0, 3, 4}));
  file["normalizer"] = {{"type", "StripAccents"}};
  EXPECT_EQ(load(file)->encode("ó"), (Ids{5}));  // composed: no mark of its own
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

std::unique_ptr<Tokenizer> load_with(const json& tokenizer, const std::vector<std::pair<std::string, json>>& files) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", tokenizer.dump());
  for (const auto& [name, content] : files) folder.write(name, content.dump());
  return load_tokenizer(folder.path());
}

TEST(TokenizerSideFiles, NameSpecialTokensThatAreThenFoundInTheText) {
  const json file = tokenizer_of({"<", "s", ">", "<s>", "a"});
  EXPECT_EQ(load(file)->encode("<s>a"), (Ids{0, 1, 2, 4}));  // no file says that it is special
  const auto tokenizer = load(file, {{"bos_token", "<s>"}});
  EXPECT_EQ(tokenizer->encode("<s>a"), (Ids{3, 4}));
  EXPECT_EQ(tokenizer->bos(), 3);
  EXPECT_FALSE(tokenizer->adds_bos());
}

// As transformers does; the model may have rows for them, or check_prompt says that it has none.
TEST(TokenizerSideFiles, GiveTheNextIdsToSpecialTokensThatHaveNone) {
  const json config = {{"pad_token", "<p>"},
                       {"unk_token", {{"content", "<u>"}, {"lstrip", true}}},
                       {"additional_special_tokens", {"<x>", "a"}},
                       {"added_tokens_decoder", {{"7", {{"content", "<y>"}, {"special", true}}}}}};
  const auto tokenizer = load(tokenizer_of({"a", " "}), config);
  EXPECT_EQ(tokenizer->encode("a<y>a <u><p><x>"), (Ids{0, 7, 0, 8, 9, 10}));
  EXPECT_EQ(tokenizer->vocab_size(), 11);
}

TEST(TokenizerSideFiles, OfTheOlderKindAreReadWhereTheConfigHasNoTable) {
  const json file = tokenizer_of({"a", "<e>", "<f>"});
  const json map = {{"eos_token", {{"content", "<f>"}, {"normalized", false}}}};
  const json added = {{"<x>", 3}};
  const auto older = load_with(file, {{"special_tokens_map.json", map}, {"added_tokens.json", added}});
  EXPECT_EQ(older->eos(), 2);
  EXPECT_EQ(older->encode("a<x>"), (Ids{0, 3}));
  const json config = {{"eos_token", "<e>"}, {"added_tokens_decoder", {{"3", {{"content", "<z>"}}}}}};
  const auto newer = load_with(
      file, {{"special_tokens_map.json", map}, {"added_tokens.json", added}, {"tokenizer_config.json", config}});
  EXPECT_EQ(newer->eos(), 1);
  EXPECT_EQ(newer->encode("a<z>"), (Ids{0, 3}));
  EXPECT_EQ(newer->encode("<x>"), (Ids{}));
}

// As a download that broke off leaves it: to take the file for absent would give other ids without a word.
TEST(TokenizerSideFiles, ThatAreLinksWhichLeadNowhereAreNotTakenForAbsent) {
  for (const std::string name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}) {
    const TemporaryFolder folder;
    if (name != "tokenizer.json") folder.write("tokenizer.json", tokenizer_of({"a"}).dump());
    folder.write("tokenizer.model", "");
    std::filesystem::create_symlink("nowhere", folder.path() / name);
    EXPECT_EQ(error_of([&] { (void)load_tokenizer(folder.path()); }),
              (folder.path() / name).string() + ": no such file");
  }
}

TEST(TokenizerAddedTokens, StayInTheDecodedText) {
  json file = tokenizer_of({"a"});
  file["decoder"] = {{"type", "Fuse"}};
  file["added_tokens"] = {added(1, "<｜x｜>")};
  EXPECT_EQ(load(file)->decode(load(file)->encode("a<｜x｜>a")), "a<｜x｜>a");
}

// A token that is looked for in the normalized text is decoded from what was found there.
TEST(TokenizerAddedTokens, AreDecodedFromTheirNormalForm) {
  json file = tokenizer_of({"▁", "a", "▁a"});
  file["model"]["merges"] = {"▁ a"};
  file["normalizer"] = {{"type", "Sequence"},
                        {"normalizers",
                         {{{"type", "Prepend"}, {"prepend", "▁"}},
                          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}};
  file["decoder"] = {{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}};
  file["added_tokens"] = {added(3, "<x>", {{"normalized", true}, {"special", false}})};
  const auto tokenizer = load(file);
  EXPECT_EQ(tokenizer->encode("a <x>"), (Ids{2, 3}));
  EXPECT_EQ(tokenizer->decode(Ids{2, 3}), " a <x>");
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
  EXPECT_EQ(ids(templated, {{"add_eos_token", true}}), (Ids{1, 0, 2}));
  const json both = with_template({special("</s>"), special("<s>"), kText, special("</s>")});
  EXPECT_EQ(ids(both, {{"add_bos_token", true}}), (Ids{1, 0, 2}));  // the BOS, and nothing else before the text
  EXPECT_EQ(ids(both, {{"add_eos_token", false}}), (Ids{2, 1, 0}));
}

// A setting that cannot be met is refused; a template that adds something meets it.
TEST(TokenizerPostProcessor, RefusesToAddATokenThatNobodyNames) {
  const json bare = tokenizer_of({"a", "<s>", "</s>"});
  const auto refusal = [&](const json& config) {
    const std::string text = error_of([&] { (void)load(bare, config); });
    return text.substr(std::min(text.find("tokenizer_config.json"), text.size()));
  };
  EXPECT_EQ(refusal({{"add_bos_token", true}}),
            "tokenizer_config.json: add_bos_token is true, but no token is named for it; name the bos_token");
  EXPECT_EQ(refusal({{"bos_token", "<s>"}, {"add_eos_token", true}}),
            "tokenizer_config.json: add_eos_token is true, but no token is named for it; name the eos_token");
  EXPECT_EQ(refusal({{"add_bos_token", false}, {"add_eos_token", false}}), "");
  const json templated = with_template({special("<s>"), kText});
  EXPECT_EQ(load(templated, {{"add_bos_token", true}})->encode_with_special("a"), (Ids{1, 0}));
}

// With every setting, what stands in the text stays in it.
TEST(TokenizerPostProcessor, NeverTakesATokenOfTheTextForOneThatWasAdded) {
  for (const bool is_templated : {false, true}) {
    for (const char* bos : {"absent", "true", "false"}) {
      for (const char* eos : {"absent", "true", "false"}) {
        json config = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
        if (bos != std::string("absent")) config["add_bos_token"] = bos == std::string("true");
        if (eos != std::string("absent")) config["add_eos_token"] = eos == std::string("true");
        const auto tokenizer = load(
            is_templated ? with_template({special("<s>"), kText, special("</s>")}) : tokenizer_of({"a", "<s>", "</s>"}),
            config);
        Ids expected(tokenizer->before_prompt().begin(), tokenizer->before_prompt().end());
        for (const TokenId id : {1, 2, 0, 1, 2}) expected.push_back(id);
        expected.insert(expected.end(), tokenizer->after_prompt().begin(), tokenizer->after_prompt().end());
        EXPECT_EQ(tokenizer->encode_with_special("<s></s>a<s></s>"), expected) << config;
        EXPECT_EQ(tokenizer->encode("<s></s>a<s></s>"), (Ids{1, 2, 0, 1, 2}));
        const bool adds = config.value("add_bos_token", is_templated);
        EXPECT_EQ(tokenizer->adds_bos(), adds) << config;
      }
    }
  }
}

TEST(TokenizerPostProcessor, KnowsRobertasAndBertsTemplates) {
  for (const char* kind : {"RobertaProcessing", "BertProcessing"}) {
    json file = tokenizer_of({"a", "<s>", "</s>"});
    file["post_processor"] = {{"type", kind}, {"sep", {"</s>", 2}}, {"cls", {"<s>", 1}}};
    const auto tokenizer = load(file);
    EXPECT_EQ(tokenizer->encode("a"), (Ids{0}));
    EXPECT_EQ(tokenizer->encode_with_special("a"), (Ids{1, 0, 2}));
    EXPECT_EQ(tokenizer->bos(), 1);
    EXPECT_EQ(tokenizer->eos(), 2);
    EXPECT_TRUE(tokenizer->adds_bos());
  }
}

TEST(TokenizerPostProcessor, PutsOneTemplateAroundTheOther) {
  json file = with_template({special("<s>"), kText});
  const json inner = file["post_processor"];
  const json outer = with_template({special("</s>"), kText, special("</s>")})["post_processor"];
  file["post_processor"] = {{"type", "Sequence"}, {"processors", {inner, {{"type", "ByteLevel"}}, outer}}};
  EXPECT_EQ(load(file)->encode_with_special("a"), (Ids{2, 1, 0, 2}));
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

// What is wrong with a tokenizer folder is said in one line that begins with the file. Every message a user can meet
// when a file is missing, damaged or of a kind that is not supported.
#include "unit/tokenizer_fixture.h"

namespace attnlab::model::tokenizer_test {
namespace {

using nlohmann::json;

// The message for a folder with this tokenizer.json, without the folder's path.
std::string refusal(const std::string& tokenizer, const std::string& config = "") {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", tokenizer);
  if (!config.empty()) folder.write("tokenizer_config.json", config);
  const std::string message = error_of([&] { (void)load_tokenizer(folder.path()); });
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  const std::string path = folder.path().string() + "/";
  return message.starts_with(path) ? message.substr(path.size()) : "not a message about a file: " + message;
}
std::string refusal(const json& tokenizer, const json& config = nullptr) {
  return refusal(tokenizer.dump(), config.is_null() ? "" : config.dump());
}

json base() {
  return tokenizer_of({"a", "b", "ab"});
}
json with(const std::string& pointer, const json& value) {
  json file = base();
  file[json::json_pointer(pointer)] = value;
  return file;
}

TEST(TokenizerErrors, NameAFolderWithoutATokenizer) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of([&] { (void)load_tokenizer(folder.path()); }),
            folder.path().string() + ": has no tokenizer; expected tokenizer.json or tokenizer.model in this folder");
  const std::filesystem::path missing = folder.path() / "missing";
  EXPECT_EQ(error_of([&] { (void)load_tokenizer(missing); }),
            missing.string() + ": is no folder; expected a model folder with tokenizer.json or tokenizer.model");
}

TEST(TokenizerErrors, NameKindsThatAreNotSupported) {
  EXPECT_EQ(refusal(with("/model", {{"type", "WordPiece"}, {"vocab", {{"a", 0}}}})),
            "tokenizer.json: model is of kind \"WordPiece\", which is not supported; supported: BPE");
  EXPECT_EQ(refusal(with("/model", {{"type", "Unigram"}, {"vocab", json::array()}})),
            "tokenizer.json: model is of kind \"Unigram\", which is not supported; supported: BPE");
  for (const char* kind : {"BertNormalizer", "Precompiled", "Nmt"}) {
    EXPECT_EQ(refusal(with("/normalizer", {{"type", kind}})),
              "tokenizer.json: normalizer is of kind \"" + std::string(kind) +
                  "\", which is not supported; supported: NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, "
                  "Prepend, Replace, Sequence");
  }
  EXPECT_EQ(refusal(with("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Whitespace"}}}}})),
            "tokenizer.json: pre_tokenizer.pretokenizers[0] is of kind \"Whitespace\", which is not supported; "
            "supported: Split, Digits, Punctuation, ByteLevel, Metaspace, Sequence");
  EXPECT_EQ(refusal(with("/decoder", {{"type", "WordPiece"}})),
            "tokenizer.json: decoder is of kind \"WordPiece\", which is not supported; "
            "supported: ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, Sequence");
  EXPECT_EQ(refusal(with("/post_processor", {{"type", "PairProcessing"}})),
            "tokenizer.json: post_processor is of kind \"PairProcessing\", which is not supported; "
            "supported: TemplateProcessing, RobertaProcessing, BertProcessing, ByteLevel, Sequence");
}

TEST(TokenizerErrors, NameOptionsOfBpeThatAreNotSupported) {
  EXPECT_EQ(
      refusal(with("/model/dropout", 0.1)),
      "tokenizer.json: model.dropout is not supported: the same text must always give the same ids; set it to null");
  EXPECT_EQ(refusal(with("/model/continuing_subword_prefix", "##")),
            "tokenizer.json: model.continuing_subword_prefix is not supported; only files without word affixes are");
  EXPECT_EQ(refusal(with("/model/end_of_word_suffix", "</w>")),
            "tokenizer.json: model.end_of_word_suffix is not supported; only files without word affixes are");
  json harmless = with("/model/dropout", 0.0);
  harmless["model"]["continuing_subword_prefix"] = "";
  EXPECT_EQ(load(harmless)->vocab_size(), 3);
}

TEST(TokenizerErrors, NameWhatIsWrongWithIds) {
  const std::string remedy = "; ids are integers from 0";
  const auto given = [](const json& id) { return refusal(with("/model/vocab/b", id)); };
  EXPECT_EQ(given("1"), "tokenizer.json: model.vocab gives \"b\" the id \"1\", which is no integer" + remedy);
  EXPECT_EQ(given(1.5), "tokenizer.json: model.vocab gives \"b\" the id 1.5, which is no integer" + remedy);
  EXPECT_EQ(given(nullptr), "tokenizer.json: model.vocab gives \"b\" the id null, which is no integer" + remedy);
  EXPECT_EQ(given(-1), "tokenizer.json: model.vocab gives \"b\" the id -1, which is negative" + remedy);
  EXPECT_EQ(given(2147483647),
            "tokenizer.json: model.vocab gives \"b\" the id 2147483647, which is too large" + remedy);
  EXPECT_EQ(given(18446744073709551615U),
            "tokenizer.json: model.vocab gives \"b\" the id 18446744073709551615, which is too large" + remedy);
  EXPECT_NE(given(0).find("gives the id 0 to both"), std::string::npos);
  EXPECT_EQ(refusal(with("/model/vocab", json::object())), "tokenizer.json: has no tokens");
  EXPECT_EQ(refusal(with("/model/vocab", json::array({"a"}))), "tokenizer.json: model.vocab must be an object");
}

TEST(TokenizerErrors, NameWhatIsWrongWithMerges) {
  const auto given = [](const json& merges) { return refusal(with("/model/merges", merges)); };
  EXPECT_EQ(given({"a b", "a c"}), "tokenizer.json: model.merges needs \"c\" at 1, which is not in model.vocab");
  EXPECT_EQ(given({"b a"}), "tokenizer.json: model.merges needs \"ba\" at 0, which is not in model.vocab");
  const std::string remedy = "; a merge is \"left right\" or [left, right]";
  EXPECT_EQ(given({"ab"}), "tokenizer.json: model.merges has \"ab\" at 0" + remedy);
  EXPECT_EQ(given({"a b c"}), "tokenizer.json: model.merges has \"a b c\" at 0" + remedy);
  EXPECT_EQ(given(json::array({json::array({"a"})})), "tokenizer.json: model.merges has a list at 0" + remedy);
  EXPECT_EQ(given(json::array({7})), "tokenizer.json: model.merges has 7 at 0" + remedy);
  EXPECT_EQ(given("a b"), "tokenizer.json: model.merges must be a list");
}

TEST(TokenizerErrors, NameWhatIsWrongWithAddedTokens) {
  const auto given = [](const json& tokens) { return refusal(with("/added_tokens", tokens)); };
  EXPECT_EQ(given({{{"id", 1}, {"content", "a"}}}),
            "tokenizer.json: added_tokens[0] gives \"a\" the id 1, but the vocabulary gives it 0");
  EXPECT_EQ(given({{{"id", 3}, {"content", "x"}}, {{"id", 4}, {"content", "x"}}}),
            "tokenizer.json: added_tokens[1] gives \"x\" the id 4, but it already has 3");
  EXPECT_EQ(given({{{"id", -4}, {"content", "x"}}}),
            "tokenizer.json: added_tokens[0] has the id -4; ids are integers from 0");
  EXPECT_NE(given({{{"id", 2}, {"content", "x"}}}).find("gives the id 2 to both"), std::string::npos);
  EXPECT_EQ(given({{{"id", -1}, {"content", "x"}}}),
            "tokenizer.json: added_tokens[0] has the id -1; ids are integers from 0");
  EXPECT_EQ(given({{{"id", "3"}, {"content", "x"}}}), "tokenizer.json: added_tokens[0].id must be an integer");
  EXPECT_EQ(given({{{"content", "x"}}}), "tokenizer.json: added_tokens[0] has no \"id\"");
  EXPECT_EQ(given({{{"id", 3}}}), "tokenizer.json: added_tokens[0] has no \"content\"");
  EXPECT_EQ(given({7}), "tokenizer.json: added_tokens[0] must be an object");
}

TEST(TokenizerErrors, NameWhatIsWrongWithPatternsAndFields) {
  const auto split = [](const json& pattern, const json& behavior) {
    return refusal(with("/pre_tokenizer", {{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}}));
  };
  EXPECT_EQ(split({{"Regex", "(a"}}, "Isolated"),
            "tokenizer.json: pre_tokenizer.pattern.Regex \"(a\" is not a regular expression "
            "(end pattern with unmatched parenthesis)");
  EXPECT_EQ(split({{"Regex", ""}}, "Isolated"), "tokenizer.json: pre_tokenizer.pattern is empty");
  EXPECT_EQ(split(json::object(), "Isolated"),
            "tokenizer.json: pre_tokenizer.pattern must have either 'String' or 'Regex'");
  EXPECT_EQ(split({{"String", "a"}}, "Sideways"),
            "tokenizer.json: pre_tokenizer.behavior is \"Sideways\", which is no way to split; "
            "one of Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
  EXPECT_EQ(split({{"String", "a"}}, 1), "tokenizer.json: pre_tokenizer.behavior must be a string");
  EXPECT_EQ(refusal(with("/pre_tokenizer", {{"type", "ByteLevel"}, {"use_regex", "no"}})),
            "tokenizer.json: pre_tokenizer.use_regex must be true or false");
  EXPECT_EQ(refusal(with("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}})),
            "tokenizer.json: pre_tokenizer.replacement must be one character");
  EXPECT_EQ(refusal(with("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "last"}})),
            "tokenizer.json: pre_tokenizer.prepend_scheme is \"last\"; one of always, first, never");
  EXPECT_EQ(
      refusal(with(
          "/pre_tokenizer",
          {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "first"}, {"add_prefix_space", false}})),
      "tokenizer.json: pre_tokenizer has both add_prefix_space false and prepend_scheme \"first\"");
  EXPECT_EQ(refusal(with("/decoder", {{"type", "Strip"}, {"content", " "}, {"start", -1}, {"stop", 0}})),
            "tokenizer.json: decoder.start must not be negative");
  EXPECT_EQ(refusal(with("/normalizer", "NFC")), "tokenizer.json: normalizer must be an object");
  EXPECT_EQ(refusal(with("/normalizer", json::object())), "tokenizer.json: normalizer has no \"type\"");
}

TEST(TokenizerErrors, NameWhatIsWrongWithTemplates) {
  const auto given = [](const json& single, const json& ids) {
    return refusal(with("/post_processor", {{"type", "TemplateProcessing"},
                                            {"single", single},
                                            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", ids}}}}}}));
  };
  const json bos = {{{"SpecialToken", {{"id", "<s>"}}}}};
  EXPECT_EQ(given(bos, {3}),
            "tokenizer.json: post_processor.special_tokens.<s>.ids[0] is 3, which is outside the vocabulary; "
            "ids run from 0 to 2");
  EXPECT_EQ(given({{{"SpecialToken", {{"id", "<t>"}}}}}, {0}),
            "tokenizer.json: post_processor.special_tokens has no \"<t>\"");
  EXPECT_EQ(given(bos, {0}),
            "tokenizer.json: post_processor.single does not name its text; "
            "it must have {\"Sequence\": {\"id\": \"A\"}}");
  const json text = {{"Sequence", {{"id", "A"}}}};
  EXPECT_EQ(given({text, text}, {0}), "tokenizer.json: post_processor.single names its text twice");
  EXPECT_EQ(refusal(with("/post_processor", {{"type", "RobertaProcessing"}, {"cls", {"a", 0}}, {"sep", {"b", 9}}})),
            "tokenizer.json: post_processor.sep[1] is 9, which is outside the vocabulary; ids run from 0 to 2");
  EXPECT_EQ(refusal(with("/post_processor", {{"type", "RobertaProcessing"}, {"cls", "a"}, {"sep", {"b", 1}}})),
            "tokenizer.json: post_processor.cls must be a list");
  EXPECT_EQ(
      given({{{"Sequence", {{"id", "B"}}}}}, {0}),
      "tokenizer.json: post_processor.single[0].Sequence names a second text; a template for one text has only A");
}

TEST(TokenizerErrors, NameWhatIsWrongWithTheConfig) {
  EXPECT_EQ(refusal(base(), {{"bos_token", "<s>"}}),
            "tokenizer_config.json: bos_token is \"<s>\", which is not in the vocabulary");
  EXPECT_EQ(refusal(base(), {{"eos_token", 2}}), "tokenizer_config.json: eos_token must be a string");
  EXPECT_EQ(refusal(base(), {{"add_bos_token", 1}}), "tokenizer_config.json: add_bos_token must be true or false");
  EXPECT_EQ(refusal(base(), {{"added_tokens_decoder", {{"x", {{"content", "y"}}}}}}),
            "tokenizer_config.json: added_tokens_decoder has \"x\", which is no id");
  EXPECT_EQ(refusal(base(), json::array()), "tokenizer_config.json: must be an object");
  EXPECT_EQ(refusal(base(), {{"split_special_tokens", true}}),
            "tokenizer_config.json: split_special_tokens is not supported; special tokens are found in a text: false");
  EXPECT_EQ(refusal(base(), {{"additional_special_tokens", "<x>"}}),
            "tokenizer_config.json: additional_special_tokens must be a list");
}

TEST(TokenizerErrors, NameFilesThatAreNotJson) {
  for (const char* text : {"", "{", "{\"model\": }", "[1, 2", "\xff\xfe", "{\"a\": \"\xff\"}", "nul"}) {
    const std::string message = refusal(std::string(text));
    EXPECT_TRUE(message.starts_with("tokenizer.json")) << message;
    EXPECT_NE(message.find("JSON"), std::string::npos) << message;
  }
  EXPECT_EQ(refusal(std::string("[]")), "tokenizer.json: must be an object");
  EXPECT_EQ(refusal(std::string("{}")), "tokenizer.json: has no \"model\"");
  EXPECT_TRUE(refusal(base().dump(), "{").starts_with("tokenizer_config.json"));
  const std::string nested = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_TRUE(refusal(nested).starts_with("tokenizer.json"));
}

// Whatever is cut off or overwritten, the answer is a tokenizer or an Error.
TEST(TokenizerErrors, AreAllThatComesOfDamagedFiles) {
  const std::string whole =
      read_text(std::filesystem::path(ATTNLAB_TEST_DATA_DIR) / "tokenizer" / "metaspace" / "tokenizer.json");
  ASSERT_FALSE(whole.empty());
  unsigned state = 11;
  const auto next = [&state](std::size_t below) {
    state = state * 1664525U + 1013904223U;
    return static_cast<std::size_t>(state >> 8) % below;
  };
  const TemporaryFolder folder;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = whole;
    if (round % 4 == 0) damaged.resize(next(whole.size()));
    for (std::size_t i = 0; i < next(4) && !damaged.empty(); ++i)
      damaged[next(damaged.size())] = "0\"[]{},:x-\xC3"[next(11)];
    folder.write("tokenizer.json", damaged);
    try {
      const auto tokenizer = load_tokenizer(folder.path());
      (void)tokenizer->decode(tokenizer->encode_with_special("the cat 日本"));
    } catch (const Error& error) {
      EXPECT_EQ(error.problems().size(), 1U);
    }
  }
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

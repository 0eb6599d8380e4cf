// Tokenizer folders of public bug reports (tests/data/bughunt, a README each) with the ids that the Hugging Face
// libraries give for them.
#include "unit/tokenizer_fixture.h"

namespace attnlab::model::tokenizer_test {
namespace {

using Ids = std::vector<TokenId>;

const std::filesystem::path kReported = std::filesystem::path(ATTNLAB_TEST_DATA_DIR) / "bughunt";

TEST(ReportedTokenizers, CutAtPunctuationAsFalcon3Does) {
  EXPECT_EQ(load_tokenizer(kReported / "falcon3-punctuation")->encode("Hello, world! 12345..."),
            (Ids{72, 101, 108, 108, 111, 44, 32, 119, 111, 114, 108, 100, 33, 32, 257, 52, 53, 46, 46, 46}));
}

TEST(ReportedTokenizers, MayHaveAVocabularyWithHoles) {
  const auto tokenizer = load_tokenizer(kReported / "ids-with-hole");
  EXPECT_EQ(tokenizer->encode("ab"), (Ids{97, 98}));
  EXPECT_EQ(tokenizer->vocab_size(), 301);
  EXPECT_EQ(tokenizer->decode(Ids{97, 299, 300, 256}), "azz");  // nothing for an id that no token has
  EXPECT_EQ(streamed(*tokenizer, {97, 299, 300, 256}), "azz");
  EXPECT_NE(error_of([&] { (void)tokenizer->decode(Ids{301}); }).find("outside the vocabulary"), std::string::npos);
}

TEST(ReportedTokenizers, KeepBosAndEosThatStandInTheText) {
  const auto tokenizer = load_tokenizer(kReported / "own-bos-eos-erased");
  EXPECT_EQ(tokenizer->encode_with_special("<s>ab</s>"), (Ids{256, 97, 98, 257}));
  EXPECT_EQ(tokenizer->encode("<s>ab</s>"), (Ids{256, 97, 98, 257}));
  EXPECT_EQ(tokenizer->encode_with_special("ab"), (Ids{97, 98}));
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->bos(), 256);
  EXPECT_EQ(tokenizer->eos(), 257);
}

TEST(ReportedTokenizers, KnowTheBosOfATemplateWithoutAConfig) {
  const auto tokenizer = load_tokenizer(kReported / "ppl-bos");
  EXPECT_EQ(tokenizer->encode_with_special("a"), (Ids{256, 97}));
  EXPECT_EQ(tokenizer->encode_with_special("<s>a"), (Ids{256, 256, 97}));
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->bos(), 256);
}

TEST(ReportedTokenizers, DoNotAddTheBosOfATemplateThatTheConfigForbids) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", read_text(kReported / "ppl-bos" / "tokenizer.json"));
  folder.write("tokenizer_config.json", R"({"bos_token": "<s>", "add_bos_token": false})");
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode_with_special("a"), (Ids{97}));
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->bos(), 256);
}

TEST(ReportedTokenizers, RepeatAGroupOfThreeAsOnigurumaDoes) {
  EXPECT_EQ(load_tokenizer(kReported / "regex-interval-plus")->encode("12345678"), (Ids{256, 258, 260}));
}

// The tokenizer.model of both reports is that of a published model, which lies with the other fixtures.
class ReportedSentencePieceModels : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModel)) GTEST_SKIP() << "missing: " << kModel.string();
    folder_.write("tokenizer.model", read_text(kModel));
  }
  std::unique_ptr<Tokenizer> with(const std::string& report, const std::vector<std::string>& files) {
    for (const std::string& file : files) folder_.write(file, read_text(kReported / report / file));
    return load_tokenizer(folder_.path());
  }

  const std::filesystem::path kModel =
      std::filesystem::path(ATTNLAB_SHARED_DIR) / "fixtures" / "models" / "stories260K" / "tokenizer.model";
  TemporaryFolder folder_;
};

TEST_F(ReportedSentencePieceModels, DoNotAddABosThatTheConfigForbids) {
  const auto tokenizer = with("sp-add-bos-false", {"tokenizer_config.json"});
  EXPECT_EQ(tokenizer->encode_with_special("Once upon"), (Ids{403, 407}));
  EXPECT_FALSE(tokenizer->adds_bos());
  folder_.write("tokenizer_config.json", R"({"add_eos_token": true})");
  EXPECT_EQ(load_tokenizer(folder_.path())->encode_with_special("Once upon"), (Ids{1, 403, 407, 2}));
}

TEST_F(ReportedSentencePieceModels, FindAddedTokensInTheText) {
  for (const std::vector<std::string>& files :
       {std::vector<std::string>{"added_tokens.json"}, {"added_tokens.json", "tokenizer_config.json"}}) {
    const auto tokenizer = with("sp-added-tokens", files);
    EXPECT_EQ(tokenizer->encode("<|im_start|>Once"), (Ids{512, 403}));
    EXPECT_EQ(tokenizer->encode("Once<|im_end|>"), (Ids{403, 513}));
    EXPECT_EQ(tokenizer->vocab_size(), 514);
    EXPECT_EQ(tokenizer->decode(Ids{512, 403, 513}), "<|im_start|>Once<|im_end|>");
    EXPECT_EQ(tokenizer->eos(), files.size() == 1 ? 2 : 513);
    EXPECT_EQ(tokenizer->encode_with_special("Once"), (Ids{1, 403}));
  }
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

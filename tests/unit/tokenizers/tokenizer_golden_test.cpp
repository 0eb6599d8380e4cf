// Published tokenizers against ids and texts from independent implementations. The files are too large for the
// repository; without the fixtures' folder these tests are skipped.
#include "unit/tokenizer_fixture.h"


namespace attnlab::model::tokenizer_test {
namespace {

struct Published {
  std::string folder;
  std::string golden;
};

const std::filesystem::path kFixtures = std::filesystem::path(ATTNLAB_SHARED_DIR) / "fixtures";

class PublishedTokenizer : public testing::TestWithParam<Published> {
 protected:
  void SetUp() override {
    const std::filesystem::path file = kFixtures / GetParam().folder / GetParam().golden;
    if (!std::filesystem::exists(file)) GTEST_SKIP() << "missing: " << file.string();
    cases_ = nlohmann::json::parse(read_text(file)).at("cases");
    tokenizer_ = load_tokenizer(kFixtures / GetParam().folder);
    ASSERT_FALSE(cases_.empty());
  }

  nlohmann::json cases_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(PublishedTokenizer, EncodesEveryCaseToTheGoldenIds) {
  for (const auto& test : cases_) {
    EXPECT_EQ(tokenizer_->encode(test.at("text").get<std::string>()), test.at("ids").get<std::vector<TokenId>>())
        << test.at("text");
  }
}

TEST_P(PublishedTokenizer, DecodesEveryCaseToTheGoldenText) {
  for (const auto& test : cases_) {
    EXPECT_EQ(tokenizer_->decode(test.at("ids").get<std::vector<TokenId>>()), test.at("decoded").get<std::string>());
  }
}

TEST_P(PublishedTokenizer, StreamsEveryCaseToTheGoldenText) {
  for (const auto& test : cases_) {
    EXPECT_EQ(streamed(*tokenizer_, test.at("ids").get<std::vector<TokenId>>()), test.at("decoded").get<std::string>());
  }
}

// Merging that is quadratic in the length would take hours, and end with the time that a test has.
TEST_P(PublishedTokenizer, EncodesLongTextsAndLongWords) {
  std::string text;
  while (text.size() < 200'000) text += cases_.back().at("text").get<std::string>();
  EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text);
  const std::string word(200'000, 'a');
  EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(word)), word);
}

INSTANTIATE_TEST_SUITE_P(, PublishedTokenizer,
                         testing::Values(Published{"tokenizers/gpt2", "golden.json"},
                                         Published{"tokenizers/qwen2_5", "golden.json"},
                                         Published{"models/stories260K", "tokenizer_golden.json"}),
                         [](const auto& param_info) {
                           const std::string& folder = param_info.param.folder;
                           return folder.substr(folder.find('/') + 1);
                         });

TEST(PublishedTokenizers, NameTheirSpecialTokens) {
  if (!std::filesystem::exists(kFixtures)) GTEST_SKIP() << "missing: " << kFixtures.string();
  const auto gpt2 = load_tokenizer(kFixtures / "tokenizers/gpt2");
  EXPECT_EQ(gpt2->vocab_size(), 50257);
  EXPECT_EQ(gpt2->bos(), 50256);
  EXPECT_EQ(gpt2->encode_with_special("a"), gpt2->encode("a"));
  const auto qwen = load_tokenizer(kFixtures / "tokenizers/qwen2_5");
  EXPECT_EQ(qwen->vocab_size(), 151665);
  EXPECT_EQ(qwen->bos(), std::nullopt);
  EXPECT_EQ(qwen->eos(), 151645);
  EXPECT_EQ(qwen->encode_with_special("a"), qwen->encode("a"));
  const auto stories = load_tokenizer(kFixtures / "models/stories260K");
  EXPECT_EQ(stories->vocab_size(), 512);
  EXPECT_EQ(stories->bos(), 1);
  EXPECT_EQ(stories->eos(), 2);
  EXPECT_EQ(stories->encode_with_special("a"), (std::vector<TokenId>{1, 261}));
  EXPECT_EQ(stories->encode_with_special(""), (std::vector<TokenId>{1}));
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

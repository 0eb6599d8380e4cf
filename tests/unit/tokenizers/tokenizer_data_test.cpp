// The two tokenizer.json files of tests/data, one shaped like Llama 3's and Qwen's, one like Llama 2's. The ids were
// worked out by a separate program that merges the slow way.
#include "unit/tokenizer_fixture.h"

#include <thread>

namespace attnlab::model::tokenizer_test {
namespace {

using Ids = std::vector<TokenId>;
const std::filesystem::path kData = std::filesystem::path(ATTNLAB_TEST_DATA_DIR) / "tokenizer";

const char* const kTexts[] = {"",
                              " ",
                              "   ",
                              "\n\n",
                              "the cat sat on the mat",
                              "  two  spaces  ",
                              "line\r\nline\n\n\n    indented",
                              "12345.67 is a number",
                              "I'm you're WE'LL don't",
                              "naïve café über déjà vu",
                              "日本語 Привет 안녕 🙂👩‍👩‍👧",
                              std::string_view("nul\0inside", 10).data(),
                              "<|begin|>the<|end|> <tool></s><s>",
                              "{\"key\": [1, 2.5, null]}",
                              "\x7f\x01\t control"};

TEST(TokenizerByteLevelFile, GivesTheIdsOfTheSlowWay) {
  const auto tokenizer = load_tokenizer(kData / "bytelevel");
  EXPECT_EQ(tokenizer->vocab_size(), 320);
  EXPECT_EQ(tokenizer->encode("the cat's honeybee"), (Ids{116, 104, 101, 276, 259, 39, 115, 316}));
  EXPECT_EQ(tokenizer->encode("12345 logs\n\n  x"), (Ids{49, 50, 51, 52, 53, 32, 306, 115, 275, 32, 32, 120}));
  // e + U+0301 is composed to U+00E9 before it is cut.
  EXPECT_EQ(tokenizer->encode("cafe\u0301 日本語!"), (Ids{99, 289, 279, 232, 170, 158, 33}));
  EXPECT_EQ(tokenizer->encode("a<|end|>b <tool>"), (Ids{97, 318, 98, 32, 319}));
}

TEST(TokenizerMetaspaceFile, GivesTheIdsOfTheSlowWay) {
  const auto tokenizer = load_tokenizer(kData / "metaspace");
  EXPECT_EQ(tokenizer->vocab_size(), 339);
  EXPECT_EQ(tokenizer->encode("the cat sat on the mat"), (Ids{287, 298, 288, 300, 305, 287, 338}));
  EXPECT_EQ(tokenizer->encode("  日本 the\n"), (Ids{284, 284, 284, 233, 154, 168, 233, 159, 175, 287, 13}));
  EXPECT_EQ(tokenizer->encode("x</s>the end"), (Ids{284, 281, 2, 287, 335}));
}

TEST(TokenizerByteLevelFile, GivesBackEveryText) {
  const auto tokenizer = load_tokenizer(kData / "bytelevel");
  for (const std::string_view text : kTexts) {
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->decode(ids), text);
    EXPECT_EQ(streamed(*tokenizer, ids), text);
  }
}

TEST(TokenizerMetaspaceFile, GivesBackEveryTextWithoutSpecialTokens) {
  const auto tokenizer = load_tokenizer(kData / "metaspace");
  for (const std::string_view text : kTexts) {
    if (text.find("</s>") != text.npos) continue;  // a space is added after each, which decoding cannot undo
    const Ids ids = tokenizer->encode(text);
    EXPECT_EQ(tokenizer->decode(ids), text);
    EXPECT_EQ(streamed(*tokenizer, ids), text);
  }
}

TEST(TokenizerByteLevelFile, AddsItsTemplateOnlyWhenAsked) {
  const auto tokenizer = load_tokenizer(kData / "bytelevel");
  EXPECT_EQ(tokenizer->bos(), 317);
  EXPECT_EQ(tokenizer->eos(), 318);  // named by an object with a content
  EXPECT_EQ(tokenizer->encode("a"), (Ids{97}));
  EXPECT_EQ(tokenizer->encode_with_special("a"), (Ids{317, 97}));
  EXPECT_EQ(tokenizer->encode_with_special(""), (Ids{317}));
}

// The law of streams, for any ids: broken characters, special tokens, runs of byte tokens.
TEST(TokenizerFiles, StreamsRandomIdsToTheTextOfDecode) {
  for (const char* name : {"bytelevel", "metaspace"}) {
    const auto tokenizer = load_tokenizer(kData / name);
    unsigned state = 7;
    for (int round = 0; round < 500; ++round) {
      Ids ids;
      for (int i = 0; i < 1 + round % 24; ++i) {
        state = state * 1664525U + 1013904223U;
        // Half of them from the bytes, which the first 259 tokens are in both files.
        const unsigned range = (state >> 8) % 2 == 0 ? 259U : static_cast<unsigned>(tokenizer->vocab_size());
        ids.push_back(static_cast<TokenId>((state >> 12) % range));
      }
      const std::string text = tokenizer->decode(ids);
      EXPECT_EQ(streamed(*tokenizer, ids), text) << name << ", round " << round;
      EXPECT_EQ(first_invalid_utf8(text), std::nullopt);
    }
  }
}

TEST(TokenizerFiles, ServesManyThreadsAtOnce) {
  for (const char* name : {"bytelevel", "metaspace"}) {
    const auto tokenizer = load_tokenizer(kData / name);
    const std::string text = "the cat sat on the log; 日本語 <|end|> 123";
    const Ids ids = tokenizer->encode(text);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 50; ++round) {
          EXPECT_EQ(tokenizer->encode(text), ids);
          EXPECT_EQ(tokenizer->decode(ids), text);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(TokenizerFiles, RefusesIdsOutsideTheVocabulary) {
  for (const char* name : {"bytelevel", "metaspace"}) {
    const auto tokenizer = load_tokenizer(kData / name);
    const std::string last = std::to_string(tokenizer->vocab_size() - 1);
    for (const TokenId id : {-1, tokenizer->vocab_size(), 2147483647}) {
      const std::string message =
          "token id " + std::to_string(id) + " is outside the vocabulary; ids run from 0 to " + last;
      EXPECT_EQ(error_of([&] { (void)tokenizer->decode(Ids{0, id}); }), message);
      EXPECT_EQ(error_of([&] { (void)tokenizer->stream()->push(id); }), message);
    }
  }
}

TEST(TokenizerFiles, RefusesTextThatIsNotUtf8) {
  for (const char* name : {"bytelevel", "metaspace"}) {
    const auto tokenizer = load_tokenizer(kData / name);
    EXPECT_EQ(error_of([&] { (void)tokenizer->encode("abc\xff"); }),
              "the text is not UTF-8: byte 0xFF at offset 3; convert the text to UTF-8");
  }
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

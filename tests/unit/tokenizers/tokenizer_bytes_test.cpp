// The tokenizer of model YAMLs, and how it shows bytes that are no UTF-8.
#include "unit/tokenizer_fixture.h"

namespace attnlab::model::tokenizer_test {
namespace {

using Ids = std::vector<TokenId>;

TEST(ByteTokenizer, GivesOneIdForEachByte) {
  const auto tokenizer = byte_tokenizer(258);
  EXPECT_EQ(tokenizer->encode("aé"), (Ids{0x61, 0xC3, 0xA9}));
  EXPECT_EQ(tokenizer->encode_with_special("a"), (Ids{256, 0x61}));
  EXPECT_EQ(tokenizer->bos(), 256);
  EXPECT_EQ(tokenizer->eos(), 257);
  EXPECT_EQ(tokenizer->vocab_size(), 258);
  for (const char* text : {"", "plain", "日本語 🙂"}) {
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    EXPECT_EQ(streamed(*tokenizer, tokenizer->encode(text)), text);
  }
}

TEST(ByteTokenizer, DoesWithoutWhatASmallVocabularyHasNoRoomFor) {
  EXPECT_EQ(byte_tokenizer(257)->bos(), 256);
  EXPECT_EQ(byte_tokenizer(257)->eos(), std::nullopt);
  EXPECT_EQ(byte_tokenizer(256)->bos(), std::nullopt);
  EXPECT_EQ(byte_tokenizer(256)->encode_with_special("a"), (Ids{0x61}));
  const auto ascii = byte_tokenizer(128);
  EXPECT_EQ(ascii->encode("a~"), (Ids{0x61, 0x7E}));
  EXPECT_EQ(error_of([&] { (void)ascii->encode("né"); }),
            "byte 0xC3 at offset 1 of the text has no token: the vocabulary ends at 127; "
            "give token ids, or a vocab_size of at least 256");
  EXPECT_EQ(error_of([] { (void)byte_tokenizer(0); }), "vocab_size is 0; a vocabulary has at least one token");
}

TEST(ByteTokenizer, DecodesWhatIsNoTextVisibly) {
  const auto tokenizer = byte_tokenizer(300);
  EXPECT_EQ(tokenizer->decode(Ids{256, 0x61, 257}), "a");
  EXPECT_EQ(tokenizer->decode(Ids{0x61, 258, 299}), "a\uFFFD\uFFFD");
  EXPECT_EQ(tokenizer->decode(Ids{0xC3, 0x61}), "\uFFFDa");
  EXPECT_EQ(tokenizer->decode(Ids{0xC3, 256, 0xA9}), "\uFFFD\uFFFD");
  EXPECT_NE(error_of([&] { (void)tokenizer->decode(Ids{300}); }), "");
  EXPECT_NE(error_of([&] { (void)tokenizer->decode(Ids{-1}); }), "");
  EXPECT_NE(error_of([&] { (void)tokenizer->encode("\xC3"); }), "");
}

TEST(ByteTokenizer, StreamsRandomIdsToTheTextOfDecode) {
  const auto tokenizer = byte_tokenizer(260);
  unsigned state = 3;
  for (int round = 0; round < 1000; ++round) {
    Ids ids;
    for (int i = 0; i < round % 20; ++i) {
      state = state * 1664525U + 1013904223U;
      ids.push_back(static_cast<TokenId>((state >> 8) % 260));
    }
    EXPECT_EQ(streamed(*tokenizer, ids), tokenizer->decode(ids)) << "round " << round;
  }
}

TEST(TokenizerUtf8, ReplacesEachLongestBrokenStartOnce) {
  // The examples of Unicode's section 3.9 on substitution of maximal subparts.
  const auto tokenizer = byte_tokenizer(256);
  const auto decoded = [&](std::string_view bytes) {
    Ids ids;
    for (const char byte : bytes) ids.push_back(static_cast<unsigned char>(byte));
    return tokenizer->decode(ids);
  };
  const std::string r = "\uFFFD";
  EXPECT_EQ(decoded("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(decoded("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(decoded("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

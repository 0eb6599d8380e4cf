// tokenizer.model files. The models are written here, byte by byte in protobuf's wire format, so that the repository
// holds no binary file: pieces are field 1, the trainer's settings field 2, the normalizer's field 3.
#include "unit/tokenizer_fixture.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>

namespace attnlab::model::tokenizer_test {
namespace {

using Ids = std::vector<TokenId>;

std::string number(unsigned field, unsigned value) {
  std::string bytes;
  for (unsigned part : {field << 3, value}) {
    for (; part >= 0x80; part >>= 7) bytes += static_cast<char>(part | 0x80);
    bytes += static_cast<char>(part);
  }
  return bytes;
}
std::string block(unsigned field, const std::string& content) {
  std::string head = number(field, static_cast<unsigned>(content.size()));
  head[0] = static_cast<char>(head[0] | 2);  // of variable length
  return head + content;
}

enum PieceType : unsigned { normal = 1, unknown = 2, control = 3, byte = 6 };

std::string piece(const std::string& text, float score, PieceType type) {
  std::string bits(4, '\0');
  std::memcpy(bits.data(), &score, 4);
  return block(1, block(1, text) + static_cast<char>(2 << 3 | 5) + bits + number(3, type));
}

// 0 <unk>, 1 <s>, 2 </s>, 3 .. 258 the bytes, then the pieces below. BPE: a better score merges first.
constexpr TokenId kFirst = 259;
const std::vector<std::string> kPieces{"▁t", "he", "▁the", "▁c", "at", "▁cat", "▁", "t", "h", "e", "c", "a", "▁▁"};

std::string model() {
  std::string bytes = piece("<unk>", 0, unknown) + piece("<s>", 0, control) + piece("</s>", 0, control);
  for (unsigned value = 0; value < 256; ++value) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", value);
    bytes += piece(name, 0, byte);
  }
  float score = 0;
  for (const std::string& text : kPieces) bytes += piece(text, score -= 1, normal);
  bytes += block(2, number(3, 2) + number(35, 1));                              // BPE with byte fallback
  return bytes + block(3, block(1, "identity") + number(3, 1) + number(4, 0));  // dummy prefix, spaces kept
}

class TokenizerSentencePieceModel : public testing::Test {
 protected:
  TokenizerSentencePieceModel() {
    folder_.write("tokenizer.model", model());
    tokenizer_ = load_tokenizer(folder_.path());
  }
  TemporaryFolder folder_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(TokenizerSentencePieceModel, EncodesWithByteFallbackAndWithoutBos) {
  EXPECT_EQ(tokenizer_->vocab_size(), kFirst + static_cast<TokenId>(kPieces.size()));
  EXPECT_EQ(tokenizer_->encode("the cat"), (Ids{kFirst + 2, kFirst + 5}));
  EXPECT_EQ(tokenizer_->encode("é"), (Ids{kFirst + 6, 3 + 0xC3, 3 + 0xA9}));
  EXPECT_EQ(tokenizer_->encode(""), (Ids{}));
  EXPECT_EQ(tokenizer_->encode_with_special("the"), (Ids{1, kFirst + 2}));
  EXPECT_EQ(tokenizer_->bos(), 1);
  EXPECT_EQ(tokenizer_->eos(), 2);
}

TEST_F(TokenizerSentencePieceModel, DoesNotReadSpecialPiecesInAText) {
  const Ids ids = tokenizer_->encode("<s>");
  EXPECT_EQ(ids.front(), kFirst + 6);  // the space that is put in front
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 1), 0);
  EXPECT_EQ(tokenizer_->decode(ids), "<s>");
}

TEST_F(TokenizerSentencePieceModel, GivesBackEveryText) {
  for (const char* text : {"", " ", "  the", "the cat ", "a\nb", "日本語 🙂", "x\x01\x7f"}) {
    EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text);
    EXPECT_EQ(streamed(*tokenizer_, tokenizer_->encode(text)), text);
  }
}

TEST_F(TokenizerSentencePieceModel, StreamsRandomIdsToTheTextOfDecode) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random(seed);
    Ids ids;
    for (unsigned i = 0; i < 1 + random() % 16; ++i) {
      switch (random() % 4) {
        case 0:
          ids.push_back(static_cast<TokenId>(random() % 3));
          break;
        case 1:
          ids.push_back(static_cast<TokenId>(3 + random() % 256));
          break;
        case 2:
          ids.push_back(3 + (std::vector{0xE5, 0x8F, 0xAB, 0xC3, 0xA9, 0xF0})[random() % 6]);
          break;
        default:
          ids.push_back(kFirst + static_cast<TokenId>(random() % kPieces.size()));
      }
    }
    EXPECT_EQ(streamed(*tokenizer_, ids), tokenizer_->decode(ids)) << "seed " << seed;
  }
}

TEST_F(TokenizerSentencePieceModel, RefusesIdsOutsideTheVocabularyAndTextThatIsNotUtf8) {
  for (const TokenId id : {-1, tokenizer_->vocab_size()}) {
    EXPECT_NE(error_of([&] { (void)tokenizer_->decode(Ids{id}); }).find("outside the vocabulary"), std::string::npos);
    EXPECT_NE(error_of([&] { (void)tokenizer_->stream()->push(id); }).find("outside the vocabulary"),
              std::string::npos);
  }
  EXPECT_EQ(error_of([&] { (void)tokenizer_->encode("a\xC3"); }),
            "the text is not UTF-8: byte 0xC3 at offset 1; convert the text to UTF-8");
}

TEST_F(TokenizerSentencePieceModel, ComesAfterATokenizerJson) {
  folder_.write("tokenizer.json", tokenizer_of({"t", "h", "e"}).dump());
  EXPECT_EQ(load_tokenizer(folder_.path())->encode("the"), (Ids{0, 1, 2}));
  folder_.write("tokenizer.json", "not even JSON");
  EXPECT_NE(error_of([&] { (void)load_tokenizer(folder_.path()); }).find("tokenizer.json"), std::string::npos);
}

// A tokenizer.json of type Unigram, whose vocabulary is a list of pieces with scores.
TEST_F(TokenizerSentencePieceModel, StandsInForATokenizerJsonOfAnotherKindThatHasItsPieces) {
  nlohmann::json pieces = nlohmann::json::array({{"<unk>", 0.0}, {"<s>", 0.0}, {"</s>", 0.0}});
  for (unsigned value = 0; value < 256; ++value) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", value);
    pieces.push_back(nlohmann::json::array({name, 0.0}));
  }
  for (const std::string& text : kPieces) pieces.push_back(nlohmann::json::array({text, -1.0}));
  nlohmann::json file = tokenizer_of({});
  file["model"] = {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", pieces}};
  file["added_tokens"] = nlohmann::json::array({{{"id", 272}, {"content", "<x>"}, {"special", true}}});
  file["post_processor"] = {{"type", "BertProcessing"}, {"cls", {"<s>", 1}}, {"sep", {"</s>", 2}}};
  folder_.write("tokenizer.json", file.dump());
  const auto tokenizer = load_tokenizer(folder_.path());
  EXPECT_EQ(tokenizer->encode("the<x>cat"), (Ids{kFirst + 2, 272, kFirst + 5}));
  EXPECT_EQ(tokenizer->encode_with_special("the"), (Ids{1, kFirst + 2, 2}));

  file["model"]["vocab"][kFirst][0] = "another";
  folder_.write("tokenizer.json", file.dump());
  EXPECT_EQ(error_of([&] { (void)load_tokenizer(folder_.path()); }),
            (folder_.path() / "tokenizer.json").string() +
                ": model is of kind \"Unigram\", which is not supported; supported: BPE");
}

TEST_F(TokenizerSentencePieceModel, AddsBosAndEosAsTheConfigSays) {
  const auto ids = [&](const nlohmann::json& config) {
    folder_.write("tokenizer_config.json", config.dump());
    return load_tokenizer(folder_.path())->encode_with_special("the");
  };
  EXPECT_EQ(ids(nlohmann::json::object()), (Ids{1, kFirst + 2}));
  EXPECT_EQ(ids({{"add_bos_token", false}}), (Ids{kFirst + 2}));
  EXPECT_EQ(ids({{"add_eos_token", true}}), (Ids{1, kFirst + 2, 2}));
  EXPECT_EQ(ids({{"add_bos_token", false}, {"add_eos_token", true}}), (Ids{kFirst + 2, 2}));
  EXPECT_EQ(ids({{"bos_token", "</s>"}}), (Ids{2, kFirst + 2}));
}

// With a config the special tokens are found in the text, as in transformers; a tokenizer.model alone spells them.
TEST_F(TokenizerSentencePieceModel, FindsAddedAndSpecialTokensInTheText) {
  folder_.write("tokenizer_config.json",
                R"({"added_tokens_decoder": {"272": {"content": "<x>"}, "280": {"content": "<y>", "rstrip": true}}})");
  const auto tokenizer = load_tokenizer(folder_.path());
  EXPECT_EQ(tokenizer->vocab_size(), 281);
  EXPECT_EQ(tokenizer->encode("<s>the</s>"), (Ids{1, kFirst + 2, 2}));
  EXPECT_EQ(tokenizer->encode("the<x>the<y> the"), (Ids{kFirst + 2, 272, kFirst + 2, 280, kFirst + 2}));
  EXPECT_EQ(tokenizer->decode(Ids{1, kFirst + 2, 272, kFirst + 2, 275, 280}), "the<x>the<y>");  // no token has 275
  EXPECT_EQ(streamed(*tokenizer, {1, kFirst + 2, 272, kFirst + 2, 275, 280}), "the<x>the<y>");
}

TEST_F(TokenizerSentencePieceModel, PutsASpaceBeforeEveryRunUnlessTheConfigSaysOtherwise) {
  const auto with = [&](nlohmann::json config) {
    config["added_tokens_decoder"] = {{"272", {{"content", "<x>"}}}};
    folder_.write("tokenizer_config.json", config.dump());
    return load_tokenizer(folder_.path());
  };
  const Ids bare{kFirst + 7, kFirst + 1};  // "t", "he"
  EXPECT_EQ(with(nlohmann::json::object())->encode("the<x>the"), (Ids{kFirst + 2, 272, kFirst + 2}));
  const auto first_only = with({{"legacy", false}});
  EXPECT_EQ(first_only->encode("the<x>the"), (Ids{kFirst + 2, 272, bare[0], bare[1]}));
  EXPECT_EQ(first_only->encode("<x>the"), (Ids{272, bare[0], bare[1]}));
  const auto none = with({{"add_prefix_space", false}});
  EXPECT_EQ(none->encode("the<x>the"), (Ids{bare[0], bare[1], 272, bare[0], bare[1]}));
  for (const auto& config : {nlohmann::json{{"legacy", false}}, nlohmann::json{{"add_prefix_space", false}},
                             nlohmann::json{{"legacy", true}}}) {
    const auto tokenizer = with(config);
    for (const char* text : {"the<x>the", " the<x> the", "<x>  cat<x>", "é<x>日本"}) {
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text) << config;
      EXPECT_EQ(streamed(*tokenizer, tokenizer->encode(text)), text) << config;
    }
  }
}

TEST_F(TokenizerSentencePieceModel, MayHaveAnAddedTokenInThePlaceOfAPiece) {
  folder_.write("added_tokens.json", R"({"<x>": 271})");
  const auto tokenizer = load_tokenizer(folder_.path());
  EXPECT_EQ(tokenizer->vocab_size(), 272);
  EXPECT_EQ(tokenizer->encode("<x>the"), (Ids{271, kFirst + 2}));
  EXPECT_EQ(tokenizer->decode(Ids{271, kFirst + 2}), "<x>the");
  folder_.write("added_tokens.json", R"({"<s>": 271})");
  EXPECT_EQ(error_of([&] { (void)load_tokenizer(folder_.path()); }),
            (folder_.path() / "added_tokens.json").string() +
                ": <s> gives \"<s>\" the id 271, but the vocabulary gives it 1");
}

TEST_F(TokenizerSentencePieceModel, IsRefusedByNameWhenDamaged) {
  const std::string file = (folder_.path() / "tokenizer.model").string();
  const std::string remedy = "; fetch the file again";
  const auto message = [&](const std::string& bytes) {
    folder_.write("tokenizer.model", bytes);
    return error_of([&] { (void)load_tokenizer(folder_.path()); });
  };
  EXPECT_EQ(message(""), file + ": is empty" + remedy);
  EXPECT_EQ(message("{\"a\": 1}"), file + ": is no sentencepiece model" + remedy);
  EXPECT_TRUE(message(model().substr(0, 100)).starts_with(file + ": is no sentencepiece model"));
  EXPECT_TRUE(message(piece("a", 0, normal)).starts_with(file + ": is no sentencepiece model"));
  EXPECT_EQ(message(model() + piece("\xFF", 0, normal)), file + ": is damaged: piece 272 is not UTF-8" + remedy);
}

TEST(TokenizerSentencePieceFile, IsRefusedWhenItIsAFolder) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "tokenizer.model");
  EXPECT_EQ(error_of([&] { (void)load_tokenizer(folder.path()); }),
            (folder.path() / "tokenizer.model").string() + ": is no regular file");
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

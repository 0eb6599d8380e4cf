// Tokens back to text: every decoder step, alone and after a step that fuses, and the law that a stream of ids gives
// exactly what decoding all of them gives.
#include "unit/tokenizer_fixture.h"

#include <algorithm>
#include <random>

namespace attnlab::model::tokenizer_test {
namespace {

using Ids = std::vector<TokenId>;
using nlohmann::json;

// What `decoder` makes of `tokens`, at once; checks that the stream agrees.
std::string decoded(const json& decoder, const std::vector<std::string>& tokens) {
  std::vector<std::string> vocabulary;
  Ids ids;
  for (const std::string& token : tokens) {
    const auto found = std::find(vocabulary.begin(), vocabulary.end(), token);
    ids.push_back(static_cast<TokenId>(found - vocabulary.begin()));
    if (found == vocabulary.end()) vocabulary.push_back(token);
  }
  json file = tokenizer_of(vocabulary);
  file["decoder"] = decoder;
  const auto tokenizer = load(file);
  const std::string text = tokenizer->decode(ids);
  EXPECT_EQ(streamed(*tokenizer, ids), text) << decoder;
  return text;
}

json sequence(const std::vector<json>& decoders) {
  return {{"type", "Sequence"}, {"decoders", decoders}};
}
const json kFuse = {{"type", "Fuse"}};
const json kByteFallback = {{"type", "ByteFallback"}};
json replace(const std::string& what, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", {{"String", what}}}, {"content", content}};
}
json strip(const std::string& content, int start, int stop) {
  return {{"type", "Strip"}, {"content", content}, {"start", start}, {"stop", stop}};
}

TEST(TokenDecoder, PutsSpacesBetweenTokensIfThereIsNone) {
  EXPECT_EQ(decoded(nullptr, {"a", "b", "c"}), "a b c");
}

TEST(TokenDecoder, TurnsByteCharactersIntoBytesAndBrokenOnesIntoReplacements) {
  const json byte_level = {{"type", "ByteLevel"}};
  EXPECT_EQ(decoded(byte_level, {"Hello", "Ġw", "orld"}), "Hello world");
  EXPECT_EQ(decoded(byte_level, {"Ã", "©"}), "é");            // C3 A9
  EXPECT_EQ(decoded(byte_level, {"Ã", "a"}), "\uFFFDa");      // a character breaks off
  EXPECT_EQ(decoded(byte_level, {"ð", "Ł", "ĺ"}), "\uFFFD");  // F0 9F 98: one, however long its start
  EXPECT_EQ(decoded(byte_level, {"©", "©"}), "\uFFFD\uFFFD");
  EXPECT_EQ(decoded(byte_level, {"<｜end｜>", "Ġx"}), "<｜end｜> x");  // not of the alphabet: stands for itself
}

TEST(TokenDecoder, ReplacesWithinEachToken) {
  EXPECT_EQ(decoded(replace("ab", "x"), {"a", "b", "cab"}), "abcx");
  EXPECT_EQ(decoded({{"type", "Replace"}, {"pattern", {{"Regex", "[ab]+"}}}, {"content", "x"}}, {"a", "bac"}), "xxc");
}

TEST(TokenDecoder, JoinsRunsOfByteTokensOnlyIfTheWholeRunIsUtf8) {
  EXPECT_EQ(decoded(kByteFallback, {"<0xE5>", "<0x8F>", "<0xab>", "a"}), "叫a");
  EXPECT_EQ(decoded(kByteFallback, {"<0xE5>", "<0x8F>", "<0xab>", "<0xE5>"}), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(decoded(kByteFallback, {"<0xE5>", "a", "<0x61>"}), "\uFFFDaa");
  EXPECT_EQ(decoded(kByteFallback, {"<0xZZ>", "<0x1>", "0x61"}), "<0xZZ><0x1>0x61");
}

TEST(TokenDecoder, StripsBothEndsOfEachToken) {
  EXPECT_EQ(decoded(strip("_", 1, 0), {"__a_", "_b"}), "_a_b");
  EXPECT_EQ(decoded(strip("_", 0, 2), {"_a___", "b_", "__"}), "_a_b");
  EXPECT_EQ(decoded(strip("é", 2, 2), {"ééé", "éaé", "é"}), "a");
}

TEST(TokenDecoder, StripsTheEndsOfAFusedTextOnly) {
  EXPECT_EQ(decoded(sequence({kFuse, strip("_", 1, 2)}), {"_", "_a_", "_", "_b", "__", "_"}), "_a___b_");
}

TEST(TokenDecoder, DropsTheFirstTokensMetaspaceIfOneWasPrepended) {
  const json always = {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "always"}};
  EXPECT_EQ(decoded(always, {"▁a", "▁b▁c"}), "a b c");
  EXPECT_EQ(decoded({{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "never"}}, {"▁a", "▁b"}), " a b");
  EXPECT_EQ(decoded({{"type", "Metaspace"}, {"replacement", "_"}, {"add_prefix_space", true}}, {"_a", "_b"}), "a b");
}

TEST(TokenDecoder, SeesAFusedTextAsOneTokenInLaterSteps) {
  EXPECT_EQ(decoded(sequence({kFuse, replace("ab", "x")}), {"a", "b", "cab"}), "xcx");
  EXPECT_EQ(decoded(sequence({kFuse, kByteFallback}), {"<0x", "61>"}), "a");
  EXPECT_EQ(decoded(sequence({{{"type", "ByteLevel"}}, replace("o w", "-")}), {"Hello", "Ġworld"}), "Hell-orld");
}

TEST(TokenDecoder, DoesAsLlama2) {
  const json llama = sequence({replace("▁", " "), kByteFallback, kFuse, strip(" ", 1, 0)});
  EXPECT_EQ(decoded(llama, {"▁the", "▁cat", "<0xE5>", "<0x8F>", "<0xAB>", "▁"}), "the cat叫 ");
  EXPECT_EQ(decoded(llama, {"▁", "▁a"}), " a");
}

TEST(TokenDecoder, StreamsWhatItDecodesForRandomChainsAndTokens) {
  const std::vector<json> steps{{{"type", "ByteLevel"}}, kFuse,
                                kByteFallback,           strip(" ", 1, 1),
                                strip("a", 2, 3),        replace("▁", " "),
                                replace("aa", "é"),      {{"type", "Metaspace"}, {"replacement", "▁"}}};
  const std::vector<std::string> tokens{"a",   "▁", "▁a▁", "<0xE5>", "<0x8F>", "<0xAB>", " ",
                                        "  a", "Ã", "©",   "Ġ",      "aaa",    "叫"};
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    std::vector<json> chain;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) chain.push_back(steps[random() % steps.size()]);
    std::vector<std::string> picked;
    for (unsigned i = 0; i < random() % 30; ++i) picked.push_back(tokens[random() % tokens.size()]);
    if (picked.empty()) continue;
    SCOPED_TRACE("seed " + std::to_string(seed));
    (void)decoded(sequence(chain), picked);
  }
}

TEST(TokenStream, HoldsBackOnlyWhatIsNotCertain) {
  json file = tokenizer_of({"a", "Ã", "©"});
  file["decoder"] = {{"type", "ByteLevel"}};
  const auto tokenizer = load(file);
  const auto stream = tokenizer->stream();
  EXPECT_EQ(stream->push(0), "a");
  EXPECT_EQ(stream->push(1), "");
  EXPECT_EQ(stream->push(2), "é");
  EXPECT_EQ(stream->push(1), "");
  EXPECT_EQ(stream->finish(), "\uFFFD");
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

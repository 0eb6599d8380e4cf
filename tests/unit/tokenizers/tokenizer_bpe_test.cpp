// Merging: the fast way against the slow one, and what happens to characters without a token.
#include "unit/tokenizer_fixture.h"

#include <algorithm>
#include <map>
#include <random>

namespace attnlab::model::tokenizer_test {
namespace {

using Ids = std::vector<TokenId>;

// Joins the leftmost pair of lowest rank until there is none.
std::vector<std::string> merged_slowly(std::vector<std::string> symbols,
                                       const std::vector<std::pair<std::string, std::string>>& merges) {
  while (true) {
    std::size_t best_rank = merges.size();
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = std::find(merges.begin(), merges.end(), std::pair(symbols[i], symbols[i + 1]));
      const auto rank = static_cast<std::size_t>(found - merges.begin());
      if (rank < best_rank) {
        best_rank = rank;
        best = i;
      }
    }
    if (best_rank == merges.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

TEST(TokenizerBpe, AgreesWithTheSlowWayOnRandomMergesAndTexts) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    std::vector<std::string> tokens{"a", "b", "c"};
    std::vector<std::pair<std::string, std::string>> merges;
    while (merges.size() < 30) {
      const std::pair pair(tokens[random() % tokens.size()], tokens[random() % tokens.size()]);
      if (std::find(merges.begin(), merges.end(), pair) != merges.end()) continue;
      merges.push_back(pair);
      const std::string joined = pair.first + pair.second;
      if (std::find(tokens.begin(), tokens.end(), joined) == tokens.end()) tokens.push_back(joined);
    }
    nlohmann::json file = tokenizer_of(tokens);
    for (const auto& [left, right] : merges) {
      // Both spellings of a merge, mixed.
      file["model"]["merges"].push_back(random() % 2 == 0 ? nlohmann::json(left + " " + right)
                                                          : nlohmann::json::array({left, right}));
    }
    const auto tokenizer = load(file);
    for (int round = 0; round < 20; ++round) {
      std::vector<std::string> symbols;
      std::string text;
      for (unsigned i = 0; i < 1 + random() % 80; ++i) {
        symbols.emplace_back(1, static_cast<char>('a' + random() % 3));
        text += symbols.back();
      }
      Ids expected;
      for (const std::string& symbol : merged_slowly(symbols, merges)) {
        expected.push_back(static_cast<TokenId>(std::find(tokens.begin(), tokens.end(), symbol) - tokens.begin()));
      }
      EXPECT_EQ(tokenizer->encode(text), expected) << "seed " << seed << ", text " << text;
    }
  }
}

TEST(TokenizerBpe, TakesAWholePieceThatIsATokenOnlyWithIgnoreMerges) {
  nlohmann::json file = tokenizer_of({"a", "b", "ab"});
  EXPECT_EQ(load(file)->encode("ab"), (Ids{0, 1}));
  file["model"]["ignore_merges"] = true;
  EXPECT_EQ(load(file)->encode("ab"), (Ids{2}));
  EXPECT_EQ(load(file)->encode("aba"), (Ids{0, 1, 0}));
}

TEST(TokenizerBpe, SpellsUnknownCharactersInBytesIfItHasThemAll) {
  nlohmann::json file = tokenizer_of({"a", "<0xC3>", "<0xA9>", "<unk>"});
  file["model"]["byte_fallback"] = true;
  file["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(load(file)->encode("aé"), (Ids{0, 1, 2}));
  EXPECT_EQ(load(file)->encode("aè"), (Ids{0, 3}));  // there is no <0xA8>
  file["model"]["byte_fallback"] = false;
  EXPECT_EQ(load(file)->encode("aé"), (Ids{0, 3}));
}

TEST(TokenizerBpe, FusesUnknownCharactersOnlyIfTheFileSaysSo) {
  nlohmann::json file = tokenizer_of({"a", "<unk>"});
  file["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(load(file)->encode("xyaz"), (Ids{1, 1, 0, 1}));
  file["model"]["fuse_unk"] = true;
  EXPECT_EQ(load(file)->encode("xyaz"), (Ids{1, 0, 1}));
}

TEST(TokenizerBpe, LeavesOutWhatNeitherHasATokenNorAnUnknownToken) {
  EXPECT_EQ(load(tokenizer_of({"a"}))->encode("xaxax"), (Ids{0, 0}));
}

TEST(TokenizerBpe, NamesAnUnknownTokenThatIsMissingWhereItIsNeeded) {
  nlohmann::json file = tokenizer_of({"a"});
  file["model"]["unk_token"] = "<unk>";
  const auto tokenizer = load(file);
  EXPECT_EQ(tokenizer->encode("aa"), (Ids{0, 0}));
  EXPECT_NE(error_of([&] { (void)tokenizer->encode("ax"); }).find("unk_token \"<unk>\" is not in model.vocab"),
            std::string::npos);
}

TEST(TokenizerBpe, NeedsNoTypeWhereThereAreMerges) {
  nlohmann::json file = tokenizer_of({"a", "b", "ab"});
  file["model"].erase("type");
  file["model"]["merges"] = {"#version: 0.2", "a b"};
  EXPECT_EQ(load(file)->encode("ab"), (Ids{2}));
}

}  // namespace
}  // namespace attnlab::model::tokenizer_test

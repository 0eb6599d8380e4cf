// The grammar and its best predictor, against all the derivations that there are.
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "tasks/grammar_rules.h"
#include "tasks/prefix_chance.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

using Ids = std::vector<TokenId>;

// How likely a sentence begins with the words: all derivations from the left, symbol by symbol, of which those with
// another word are given up. Derivations of a chance below `least` are given up too: left recursion has no end.
double chance_by_derivations(const Grammar& grammar, const Ids& words, double least) {
  struct Derivation {
    double chance;
    std::size_t words;
    std::vector<int> open;  // the next symbol last
  };
  double all = 0;
  std::vector<Derivation> left{{1, 0, {0}}};
  while (!left.empty()) {
    const Derivation derivation = std::move(left.back());
    left.pop_back();
    if (derivation.words == words.size()) {
      all += derivation.chance;
      continue;
    }
    if (derivation.chance < least || derivation.open.empty()) continue;
    const int symbol = derivation.open.back();
    for (const Grammar::Leaf& leaf : grammar.leaves) {
      if (leaf.parent != symbol || leaf.word != words[derivation.words]) continue;
      Derivation next{derivation.chance * leaf.chance, derivation.words + 1, derivation.open};
      next.open.pop_back();
      left.push_back(std::move(next));
    }
    for (const Grammar::Branch& branch : grammar.branches) {
      if (branch.parent != symbol) continue;
      Derivation next{derivation.chance * branch.chance, derivation.words, derivation.open};
      next.open.back() = branch.right;
      next.open.push_back(branch.left);
      left.push_back(std::move(next));
    }
  }
  return all;
}

double chance_of(const PrefixChances& chances, const Ids& words) {
  const std::vector<double> surprisals = chances.surprisals(words);
  return std::exp(-std::accumulate(surprisals.begin(), surprisals.end(), 0.0));
}

// S -> S S (0.3) | a (0.5) | b (0.2), in a text T -> S E, E -> "."
Grammar small_grammar() {
  return {.symbols = 3,
          .branches = {{0, 1, 2, 1}, {1, 1, 1, 0.3}},
          .leaves = {{1, 0, 0.5}, {1, 1, 0.2}, {2, 2, 1}},
          .words = {"a", "b", "."},
          .end = 2};
}

TEST(PrefixChances, AreSumsOverAllDerivations) {
  const Grammar grammar = small_grammar();
  const PrefixChances chances(grammar);
  for (const Ids& words : {Ids{0}, Ids{1}, Ids{0, 2}, Ids{0, 1}, Ids{0, 1, 0}, Ids{1, 1, 0, 2}, Ids{0, 0, 1, 0}})
    EXPECT_NEAR(chance_of(chances, words), chance_by_derivations(grammar, words, 1e-11), 1e-5)
        << testing::PrintToString(words);
}

TEST(PrefixChances, OfEnglishAreSumsOverAllDerivations) {
  const Grammar grammar = english(2, 0.3);
  const PrefixChances chances(grammar);
  SplitMix64 draws(5);
  int checked = 0;
  for (int number = 0; number < 12; ++number) {
    Ids words = draw_sentence(grammar, 5, draws);
    const double slow = chance_by_derivations(grammar, words, 1e-10);
    EXPECT_NEAR(chance_of(chances, words) / slow, 1, 1e-3) << testing::PrintToString(words);
    ++checked;
  }
  EXPECT_EQ(checked, 12);
}

TEST(PrefixChances, OfTheNextWordMakeOne) {
  const Grammar grammar = english(3, 0.2);
  const PrefixChances chances(grammar);
  SplitMix64 draws(8);
  for (int number = 0; number < 10; ++number) {
    Ids words = draw_sentence(grammar, 1 + number, draws);
    while (words.back() == grammar.end) words = draw_sentence(grammar, 1 + number, draws);
    double all = 0;
    for (TokenId next = 0; next < static_cast<TokenId>(grammar.words.size()); ++next) {
      words.push_back(next);
      all += std::exp(-chances.surprisals(words).back());
      words.pop_back();
    }
    EXPECT_NEAR(all, 1, 1e-9) << testing::PrintToString(words);
  }
}

// Where products of chances would be 0 in a double.
TEST(PrefixChances, DoNotUnderflowInLongSentences) {
  const PrefixChances chances(small_grammar());
  const std::vector<double> surprisals = chances.surprisals(Ids(600, 1));
  EXPECT_GT(std::accumulate(surprisals.begin(), surprisals.end(), 0.0), 800);
  EXPECT_TRUE(std::isfinite(surprisals.back()));
  EXPECT_NEAR(surprisals.back(), surprisals[500], 1e-3);
}

TEST(GrammarRules, HaveChancesThatMakeOneAndSentencesThatEnd) {
  for (const int words : {1, 8, kMostWords})
    for (const double recursion : {0.0, 0.2, kMostRecursion}) {
      SCOPED_TRACE(testing::Message() << words << ", " << recursion);
      const Grammar grammar = english(words, recursion);
      std::vector<double> chances(grammar.symbols, 0.0);
      for (const auto& rule : grammar.branches) chances[rule.parent] += rule.chance;
      for (const auto& rule : grammar.leaves) chances[rule.parent] += rule.chance;
      for (const double chance : chances) EXPECT_NEAR(chance, 1, 1e-12);
      // Expected words of each symbol: they converge.
      std::vector<double> length(grammar.symbols, 0.0);
      for (int round = 0; round < 400; ++round) {
        std::vector<double> next(grammar.symbols, 0.0);
        for (const auto& rule : grammar.leaves) next[rule.parent] += rule.chance;
        for (const auto& rule : grammar.branches)
          next[rule.parent] += rule.chance * (length[rule.left] + length[rule.right]);
        if (round == 399) {
          EXPECT_NEAR(next[0], length[0], 1e-6);
        }
        length = next;
      }
      SplitMix64 draws(3);
      double drawn = 0;
      constexpr int kSentences = 4000;
      for (int number = 0; number < kSentences; ++number) {
        const Ids sentence = draw_sentence(grammar, 100'000, draws);
        EXPECT_EQ(sentence.back(), grammar.end);
        drawn += static_cast<double>(sentence.size()) / kSentences;
      }
      EXPECT_NEAR(drawn / length[0], 1, 0.1);
    }
}

TEST(GrammarTask, IsSentencesOneAfterTheOtherWithTheSurpriseOfEachWord) {
  const auto task = task_of("grammar: {length: 60, words: 4, recursion: 0.25}");
  const Grammar grammar = english(4, 0.25);
  const PrefixChances chances(grammar);
  EXPECT_EQ(task->vocab_size(), static_cast<int>(grammar.words.size()));
  for (int index = 0; index < 20; ++index) {
    const Example example = example_of(*task, index);
    ASSERT_EQ(example.input.size(), 60U);
    Ids sentence;
    for (std::size_t at = 0; at < 60; ++at) {
      if (at + 1 < 60) {
        EXPECT_EQ(example.targets[at], example.input[at + 1]);
      }
      sentence.push_back(example.input[at]);
      if (sentence.back() == grammar.end) sentence.clear();
      Ids with = sentence;
      with.push_back(example.targets[at]);
      EXPECT_NEAR(example.optimum[at], chances.surprisals(with).back(), 1e-9) << at;
    }
  }
}

// No predictor has a lower mean surprise than the one with the true chances: the mean of the optima is the entropy.
TEST(GrammarTask, OptimumIsBelowThatOfWordPairs) {
  const auto task = task_of("grammar: {length: 200, words: 4}");
  std::map<std::pair<TokenId, TokenId>, double> pairs;
  std::map<TokenId, double> singles;
  double optimum = 0;
  constexpr int kExamples = 200;
  std::vector<Example> examples;
  for (int index = 0; index < kExamples; ++index) {
    examples.push_back(example_of(*task, index));
    for (std::size_t at = 0; at < 200; ++at) {
      ++pairs[{examples.back().input[at], examples.back().targets[at]}];
      ++singles[examples.back().input[at]];
      optimum += examples.back().optimum[at] / 200 / kExamples;
    }
  }
  double bigram = 0;
  for (const auto& [pair, count] : pairs) bigram -= count * std::log(count / singles[pair.first]) / 200 / kExamples;
  EXPECT_LT(optimum, bigram - 0.02);
  EXPECT_GT(optimum, bigram - 1);
}

}  // namespace
}  // namespace attnlab::tasks

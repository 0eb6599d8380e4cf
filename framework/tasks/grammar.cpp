// Sentences of a probabilistic grammar, one after the other; a token is a word, and "." ends a sentence.
#include <memory>

#include "tasks/generated.h"
#include "tasks/prefix_chance.h"

namespace attnlab::tasks {
namespace {

struct GrammarOptions {
  int length = 128;
  int words = 8;
  double recursion = 0.2;

  static constexpr auto fields() {
    using G = GrammarOptions;
    return std::tuple{
        field("length", &G::length, {.min = 1, .max = 1 << 16, .unit = "words", .doc = "Fed of a sequence."}),
        field("words", &G::words, {.min = 1, .max = kMostWords, .doc = "Nouns, adjectives, and verbs of each kind."}),
        field("recursion", &G::recursion,
              {.min = 0, .max = kMostRecursion, .doc = "Chance that a phrase holds another phrase or clause."})};
  }
};

struct SharedGrammar {
  Grammar grammar;
  PrefixChances chances;
};

void draw_text(const SharedGrammar& shared, int length, SplitMix64& draws, Example& to) {
  while (static_cast<int>(to.targets.size()) < length) {
    const int left = length + (to.input.empty() ? 1 : 0) - static_cast<int>(to.targets.size());
    const std::vector<TokenId> sentence = draw_sentence(shared.grammar, left, draws);
    const std::vector<double> surprisals = shared.chances.surprisals(sentence);
    // The first word of all is not asked for, and the last is not fed.
    const std::size_t first = to.input.empty() ? 1 : 0;
    to.targets.insert(to.targets.end(), sentence.begin() + static_cast<std::ptrdiff_t>(first), sentence.end());
    to.optimum.insert(to.optimum.end(), surprisals.begin() + static_cast<std::ptrdiff_t>(first), surprisals.end());
    to.input.insert(to.input.end(), sentence.begin(), sentence.end());
  }
  to.input.pop_back();
}

std::unique_ptr<Task> make_grammar(const GrammarOptions& options, const TaskReading& reading) {
  Grammar grammar = english(options.words, options.recursion);
  PrefixChances chances(grammar);
  const auto shared = std::make_shared<const SharedGrammar>(std::move(grammar), std::move(chances));
  return generated(
      reading,
      {.length = options.length, .vocab_size = static_cast<int>(shared->grammar.words.size()), .has_answers = false},
      [shared, length = options.length](SplitMix64& draws, Example& to) { draw_text(*shared, length, draws, to); });
}

const RegisteredTask kGrammar{
    task_kind<GrammarOptions>({.name = "grammar",
                               .doc = "Sentences of a probabilistic grammar with agreement; a token is a word.",
                               .paper = "Jelinek and Lafferty 1991, for the best predictor",
                               .keys = {examples_key()}},
                              make_grammar)};

}  // namespace
}  // namespace attnlab::tasks

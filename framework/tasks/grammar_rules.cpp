#include "tasks/grammar_rules.h"

#include <algorithm>
#include <array>
#include <span>

namespace attnlab::tasks {
namespace {

// Symbols of number (s: singular, p: plural) stand next to each other, so that `symbol + number` is one of them.
enum Symbol : int {
  kText,
  kSentence,
  kAddition,
  kConjunction,
  kEnd,
  kSubclause,
  kThat,
  kAdjective,
  kPlace,
  kPreposition,
  kRelative,
  kNounPhrase,
  kArticle = kNounPhrase + 2,
  kNominal = kArticle + 2,
  kRelativeClause = kNominal + 2,
  kVerbPhrase = kRelativeClause + 2,
  kVerb = kVerbPhrase + 2,
  kSayingVerb = kVerb + 2,
  kSymbols = kSayingVerb + 2
};
constexpr int kNumbers = 2;

using Words = std::vector<std::string>;

const Words kPluralNouns = {"dogs",   "rivers", "stones", "birds",   "doctors",   "trees", "children", "boats",
                            "houses", "cities", "horses", "farmers", "mountains", "books", "soldiers", "clocks"};
const Words kAdjectives = {"old",    "small", "green",  "quiet", "strange", "happy", "cold", "tall",
                           "golden", "tired", "famous", "round", "brave",   "blue",  "slow", "hidden"};
const Words kVerbs = {"see",  "find", "follow", "carry", "remember", "watch", "like",   "build",
                      "fear", "help", "move",   "paint", "protect",  "visit", "choose", "forget"};
const Words kLoneVerbs = {"sleep", "wait", "sing",  "fall", "stay", "smile", "rest",  "grow",
                          "turn",  "swim", "speak", "stop", "rise", "shine", "dance", "return"};
const Words kSayingVerbs = {"think", "say", "know", "hope", "see", "remember", "fear", "forget"};

// Third person singular, regular in all lists above.
std::string singular_verb(const std::string& verb) {
  if (verb.ends_with("ch") || verb.ends_with("sh")) return verb + "es";
  if (verb.ends_with("rry")) return verb.substr(0, verb.size() - 1) + "ies";
  return verb + "s";
}

class Builder {
 public:
  Builder() { grammar_.symbols = kSymbols; }

  void branch(int parent, int left, int right, double chance) {
    if (chance > 0) grammar_.branches.push_back({parent, left, right, chance});
  }
  // The r-th word has a weight of 1/r; together they have the chance.
  void words(int parent, std::span<const std::string> words, double chance) {
    double all = 0;
    for (std::size_t rank = 0; rank < words.size(); ++rank) all += 1.0 / static_cast<double>(rank + 1);
    for (std::size_t rank = 0; rank < words.size(); ++rank)
      grammar_.leaves.push_back({parent, id_of(words[rank]), chance / all / static_cast<double>(rank + 1)});
  }
  // One word of several classes has one id.
  TokenId id_of(const std::string& word) {
    const auto found = std::ranges::find(grammar_.words, word);
    if (found == grammar_.words.end()) grammar_.words.push_back(word);
    return static_cast<TokenId>(std::ranges::find(grammar_.words, word) - grammar_.words.begin());
  }
  Grammar take() { return std::move(grammar_); }
  void end_with(const std::string& word) { grammar_.end = id_of(word); }

 private:
  Grammar grammar_;
};

std::span<const std::string> first(const Words& words, int count) {
  return std::span(words).first(std::min(words.size(), static_cast<std::size_t>(count)));
}

Words singular_verbs(std::span<const std::string> verbs) {
  Words all;
  for (const std::string& verb : verbs) all.push_back(singular_verb(verb));
  return all;
}

}  // namespace

const std::vector<std::string>& nouns() {
  static const Words kNouns = {"dog",   "river", "stone", "bird",   "doctor",   "tree", "child",   "boat",
                               "house", "city",  "horse", "farmer", "mountain", "book", "soldier", "clock"};
  return kNouns;
}

Grammar english(int words, double recursion) {
  ATTNLAB_CHECK(words >= 1 && words <= kMostWords && recursion >= 0 && recursion <= kMostRecursion,
                "a grammar that its reader should have refused");
  Builder rules;
  const double additions = recursion / 4;
  rules.end_with(".");
  rules.branch(kText, kSentence, kEnd, 1);
  rules.words(kEnd, Words{"."}, 1);
  rules.branch(kSentence, kSentence, kAddition, additions);
  rules.branch(kAddition, kConjunction, kSentence, 1);
  rules.words(kConjunction, Words{"and", "but"}, 1);
  rules.branch(kSubclause, kThat, kSentence, 1);
  rules.words(kThat, Words{"that"}, 1);
  rules.words(kAdjective, first(kAdjectives, words), 1);
  rules.words(kPreposition, Words{"near", "with", "behind", "under"}, 1);
  rules.words(kRelative, Words{"that", "who"}, 1);
  const std::array<Words, kNumbers> articles{Words{"the", "a", "every"}, Words{"the", "some", "many"}};
  const std::array<Words, kNumbers> names{Words{"Anna", "Peter", "Maria", "Thomas"},
                                          Words{"people", "friends", "strangers"}};
  for (int number = 0; number < kNumbers; ++number) {
    const auto verbs = [&](const Words& all) {
      const auto some = first(all, words);
      return number == 0 ? singular_verbs(some) : Words(some.begin(), some.end());
    };
    rules.branch(kSentence, kNounPhrase + number, kVerbPhrase + number, (1 - additions) / kNumbers);
    rules.branch(kNounPhrase + number, kArticle + number, kNominal + number, 0.8 * (1 - recursion));
    rules.words(kNounPhrase + number, names[number], 0.2 * (1 - recursion));
    rules.branch(kNounPhrase + number, kNounPhrase + number, kPlace, recursion / 2);
    rules.branch(kNounPhrase + number, kNounPhrase + number, kRelativeClause + number, recursion / 2);
    rules.words(kArticle + number, articles[number], 1);
    rules.words(kNominal + number, first(number == 0 ? nouns() : kPluralNouns, words), 0.75);
    rules.branch(kNominal + number, kAdjective, kNominal + number, 0.25);
    rules.branch(kPlace, kPreposition, kNounPhrase + number, 1.0 / kNumbers);
    rules.branch(kRelativeClause + number, kRelative, kVerbPhrase + number, 1);
    rules.words(kVerbPhrase + number, verbs(kLoneVerbs), 0.4);
    for (int object = 0; object < kNumbers; ++object)
      rules.branch(kVerbPhrase + number, kVerb + number, kNounPhrase + object, (0.6 - recursion) / kNumbers);
    rules.branch(kVerbPhrase + number, kSayingVerb + number, kSubclause, recursion);
    rules.words(kVerb + number, verbs(kVerbs), 1);
    rules.words(kSayingVerb + number, verbs(kSayingVerbs), 1);
  }
  return rules.take();
}

std::vector<TokenId> draw_sentence(const Grammar& grammar, int most, SplitMix64& draws) {
  std::vector<TokenId> sentence;
  std::vector<int> open{0};  // symbols that are still to become words, the next one last
  while (!open.empty() && static_cast<int>(sentence.size()) < most) {
    const int symbol = open.back();
    open.pop_back();
    double left = draws.uniform();
    // The last rule of the symbol, should rounding leave something over.
    const Grammar::Branch* branch = nullptr;
    const Grammar::Leaf* leaf = nullptr;
    for (const Grammar::Branch& rule : grammar.branches) {
      if (rule.parent != symbol || left < 0) continue;
      branch = &rule;
      left -= rule.chance;
    }
    for (const Grammar::Leaf& rule : grammar.leaves) {
      if (rule.parent != symbol || left < 0) continue;
      leaf = &rule;
      left -= rule.chance;
    }
    if (leaf != nullptr) {
      sentence.push_back(leaf->word);
    } else {
      open.push_back(branch->right);
      open.push_back(branch->left);
    }
  }
  return sentence;
}

}  // namespace attnlab::tasks

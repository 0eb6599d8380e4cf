// Chains of variables in filler text: one gets a number, the next gets the value of the one before, and so on; all that
// have a number in the end are asked for (RULER's variable tracking, Hsieh et al. 2024). The sentences are our own, and
// names are shorter.
#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "tasks/hidden_text.h"

namespace attnlab::tasks {
namespace {

struct VariableTrackingOptions {
  int length = 1024;
  int chains = 1;
  int hops = 4;
  int letters = 3;
  int digits = 5;
  std::vector<double> depth;
  Haystack haystack = Haystack::repeat;

  static constexpr auto fields() {
    using V = VariableTrackingOptions;
    return std::tuple{
        field("length", &V::length, {.min = 16, .max = 1 << 20, .unit = "tokens", .doc = "An example."}),
        field("chains", &V::chains, {.min = 1, .max = 16, .doc = "Chains, of which one is asked for."}),
        field("hops", &V::hops, {.min = 1, .max = 64, .doc = "Variables of a chain behind the first."}),
        field("letters", &V::letters, {.min = 3, .max = 16, .doc = "Of a name."}),
        field("digits", &V::digits, {.min = 3, .max = 16, .doc = "Of a number; the first is not 0."}),
        field("depth", &V::depth,
              {.min = 0,
               .max = 1,
               .doc = "Places of a sentence, of which one is drawn: 0 begins the text, 1 ends it. Empty: anywhere."}),
        field("haystack", &V::haystack, {.doc = "Filler: a few sentences again and again, or those of the grammar."})};
  }
};

std::string sentence_of(const std::string& name, const std::string& value) {
  return fmt::format(" Let {} be {}.", name, value);
}
std::string question_of(const std::string& number) {
  return fmt::format("\nWhich variables are {}?", number);
}

class Chains {
 public:
  Chains(const VariableTrackingOptions& options, const std::shared_ptr<const TextTokenizer>& tokenizer)
      : options_(options), texts_(options.length, options.haystack, options.depth, tokenizer) {}

  // Letters may be tokens of their own.
  [[nodiscard]] int least_length() const {
    const int variables = options_.hops + 1;
    const int sentence =
        texts_.tokens(sentence_of("", "")) + 2 + options_.letters + std::max(options_.letters, options_.digits);
    return options_.chains * variables * sentence + texts_.tokens(question_of("")) + options_.digits + 2 +
           variables * (options_.letters + 1) + texts_.least_filler();
  }

  void draw(SplitMix64& draws, Example& to) const {
    std::set<std::string> taken;
    std::vector<std::string> values(options_.chains);  // that the next variable of each chain gets
    for (std::string& number : values) {
      do number = draw_number(options_.digits, draws);
      while (!taken.insert(number).second);
    }
    HiddenText text{.question = question_of(values.front())};
    // A chain's sentences stay in their order between those of the others.
    std::vector<int> owners;
    for (int chain = 0; chain < options_.chains; ++chain) owners.insert(owners.end(), options_.hops + 1, chain);
    draws.shuffle(owners);
    for (const int chain : owners) {
      std::string name;
      do {
        name.clear();
        for (int i = 0; i < options_.letters; ++i) name += static_cast<char>('A' + draws.below(26));
      } while (!taken.insert(name).second);
      text.hidden.push_back(sentence_of(name, values[chain]));
      values[chain] = name;
      if (chain == 0) text.answer += " " + name;
    }
    texts_.write(text, draws, to);
  }

 private:
  VariableTrackingOptions options_;
  HiddenTexts texts_;
};

std::unique_ptr<Task> make_variable_tracking(const VariableTrackingOptions& options, const TaskReading& reading) {
  const auto tokenizer = read_tokenizer(reading);
  if (tokenizer == nullptr) return nullptr;
  const auto chains = std::make_shared<const Chains>(options, tokenizer);
  return made_of_texts(reading, "variable_tracking", options.length, chains->least_length(), *tokenizer,
                       [chains](SplitMix64& draws, Example& to) { chains->draw(draws, to); });
}

const RegisteredTask kVariableTracking{
    task_kind<VariableTrackingOptions>({.name = "variable_tracking",
                                        .doc = "Chains of variables in filler text: which have this number?",
                                        .paper = "Hsieh et al. 2024, RULER (arXiv:2404.06654)",
                                        .keys = {tokenizer_key(), examples_key()}},
                                       make_variable_tracking)};

}  // namespace
}  // namespace attnlab::tasks

// Needles in a haystack: numbers hidden in filler text and asked for at the end. The kinds are those of RULER (Hsieh et
// al. 2024), by how many there are: single (one key, one value), multi-key (several keys, one of them asked for),
// multi-value (several values of one key) and multi-query (several keys asked for). The sentences are our own.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tasks/generated.h"
#include "tasks/hidden_text.h"

namespace attnlab::tasks {
namespace {

struct NeedleOptions {
  int length = 1024;
  int keys = 1;
  int values = 1;
  int queries = 1;
  int digits = 4;
  std::vector<double> depth;
  Haystack haystack = Haystack::repeat;

  static constexpr auto fields() {
    using N = NeedleOptions;
    return std::tuple{
        field("length", &N::length, {.min = 16, .max = 1 << 20, .unit = "tokens", .doc = "An example."}),
        field("keys", &N::keys, {.min = 1, .max = kMostWords, .doc = "Things that have a number in the text."}),
        field("values", &N::values, {.min = 1, .max = 64, .doc = "Numbers of each thing that is asked for."}),
        field("queries", &N::queries, {.min = 1, .max = kMostWords, .doc = "Things that are asked for."}),
        field("digits", &N::digits, {.min = 1, .max = 64, .doc = "Of a number; the first is not 0."}),
        field("depth", &N::depth,
              {.min = 0,
               .max = 1,
               .doc = "Places of a number, of which one is drawn: 0 begins the text, 1 ends it. "
                      "Empty: anywhere."}),
        field("haystack", &N::haystack, {.doc = "Filler: a few sentences again and again, or those of the grammar."})};
  }
  static void check(const NeedleOptions& options, Problems& problems) {
    if (options.queries > options.keys) problems.add("queries", "are more than the keys");
  }
};

std::string needle_sentence(const std::string& key, const std::string& number) {
  return fmt::format(" The magic number of the {} is {}.", key, number);
}

std::string question_of(const std::vector<std::string>& asked, int values) {
  const bool is_one = asked.size() == 1 && values == 1;
  return fmt::format("\nWhat {} of the {}?", is_one ? "is the magic number" : "are the magic numbers",
                     fmt::join(asked, ", the "));
}

class Needles {
 public:
  Needles(const NeedleOptions& options, const std::shared_ptr<const TextTokenizer>& tokenizer)
      : options_(options), texts_(options.length, options.haystack, options.depth, tokenizer) {}

  // Tokens of the longest example with no more filler than it must have.
  [[nodiscard]] int least_length() const {
    int key = 0;
    for (const std::string& noun : nouns()) key = std::max(key, texts_.tokens(needle_sentence(noun, "")));
    const std::vector<std::string> asked(options_.queries, "mountain");
    const int number = options_.digits + 2;
    const int needles = options_.keys + options_.queries * (options_.values - 1);
    return needles * (key + number) + texts_.tokens(question_of(asked, options_.values)) +
           options_.queries * options_.values * number + texts_.least_filler();
  }

  void draw(SplitMix64& draws, Example& to) const {
    const HiddenText hidden = draw_needles(draws);
    texts_.write(hidden, draws, to);
  }

 private:
  // The answer: for each key in the order asked, its numbers in the order of the text.
  [[nodiscard]] HiddenText draw_needles(SplitMix64& draws) const {
    std::vector<std::string> keys;
    for (const TokenId key : draw_distinct(0, static_cast<TokenId>(nouns().size()), options_.keys, draws))
      keys.push_back(nouns()[key]);
    std::vector<int> owners;  // of each needle, an index of keys; the first are asked for
    for (int key = 0; key < options_.keys; ++key)
      owners.insert(owners.end(), key < options_.queries ? options_.values : 1, key);
    draws.shuffle(owners);
    std::vector<std::string> answers(options_.queries);
    HiddenText text;
    for (const int owner : owners) {
      const std::string number = draw_number(options_.digits, draws);
      text.hidden.push_back(needle_sentence(keys[owner], number));
      if (owner < options_.queries) answers[owner] += " " + number;
    }
    keys.resize(options_.queries);
    text.question = question_of(keys, options_.values);
    text.answer = fmt::format("{}", fmt::join(answers, ""));
    return text;
  }

  NeedleOptions options_;
  HiddenTexts texts_;
};

std::unique_ptr<Task> make_needle(const NeedleOptions& options, const TaskReading& reading) {
  const auto tokenizer = read_tokenizer(reading);
  if (tokenizer == nullptr) return nullptr;
  const auto needles = std::make_shared<const Needles>(options, tokenizer);
  return made_of_texts(reading, "needle", options.length, needles->least_length(), *tokenizer,
                       [needles](SplitMix64& draws, Example& to) { needles->draw(draws, to); });
}

const RegisteredTask kNeedle{task_kind<NeedleOptions>({.name = "needle",
                                                       .doc = "Numbers hidden in filler text, asked for at the end.",
                                                       .paper = "Hsieh et al. 2024, RULER (arXiv:2404.06654)",
                                                       .keys = {tokenizer_key(), examples_key()}},
                                                      make_needle)};

}  // namespace
}  // namespace attnlab::tasks

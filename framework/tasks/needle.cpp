// Needles in a haystack: numbers hidden in filler text and asked for at the end. The kinds are those of RULER (Hsieh et
// al. 2024), by how many there are: single (one key, one value), multi-key (several keys, one of them asked for),
// multi-value (several values of one key) and multi-query (several keys asked for). The sentences are our own.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tasks/generated.h"
#include "tasks/grammar_rules.h"
#include "tasks/text_tokenizer.h"

namespace attnlab::tasks {
namespace {

enum class Haystack : std::uint8_t { repeat, grammar };

}  // namespace
}  // namespace attnlab::tasks

template <>
inline constexpr std::array<attnlab::Choice<attnlab::tasks::Haystack>, 2> attnlab::kChoices<attnlab::tasks::Haystack>{
    {{"repeat", attnlab::tasks::Haystack::repeat}, {"grammar", attnlab::tasks::Haystack::grammar}}};

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

const std::vector<std::string> kFiller = {"The sea was calm and the sky was grey.", "A light rain fell on the roofs.",
                                          "Nobody was in a hurry.", "The road led over the hills and back again.",
                                          "There was bread on the table."};

std::string needle_sentence(const std::string& key, const std::string& number) {
  return fmt::format(" The magic number of the {} is {}.", key, number);
}

std::string question_of(const std::vector<std::string>& asked, int values) {
  const bool is_one = asked.size() == 1 && values == 1;
  return fmt::format("\nWhat {} of the {}?", is_one ? "is the magic number" : "are the magic numbers",
                     fmt::join(asked, ", the "));
}

class NeedleTexts {
 public:
  NeedleTexts(const NeedleOptions& options, std::shared_ptr<const TextTokenizer> tokenizer)
      : options_(options),
        tokenizer_(std::move(tokenizer)),
        before_(tokenizer_->before_text()),
        grammar_(english(kMostWords, 0.2)) {}

  // Tokens of the longest example without any filler, and of one sentence of it.
  int least_length() const {
    int key = 0, filler = 0;
    for (const std::string& noun : nouns()) key = std::max(key, tokens(needle_sentence(noun, "")));
    for (const std::string& sentence : kFiller) filler = std::max(filler, tokens(" " + sentence));
    const std::vector<std::string> asked(options_.queries, "mountain");
    const int number = options_.digits + 2;
    const int needles = options_.keys + options_.queries * (options_.values - 1);
    return static_cast<int>(before_.size()) + needles * (key + number) + tokens(question_of(asked, options_.values)) +
           options_.queries * options_.values * number + 2 * filler;
  }

  void draw(SplitMix64& draws, Example& to) const {
    std::vector<std::string> hidden;  // sentences, in the order of the text
    const auto [question, answer] = draw_needles(draws, hidden);
    std::vector<std::string> filler;  // the last is the first of the text
    int estimate = tokens(question + answer);
    for (const std::string& sentence : hidden) estimate += tokens(sentence);
    Filler source(*this, draws);
    while (estimate <= options_.length) estimate += tokens(filler.emplace_back(source.next()));
    const std::vector<double> depths = draw_depths(hidden.size(), draws);
    // What a tokenizer makes of the whole may be a little less, or more, than of its sentences.
    for (bool has_grown = false;;) {
      const std::string context = hide(hidden, depths, filler), text = context + question;
      const std::vector<TokenId> prompt = tokenizer_->encode(text);
      const auto asked = static_cast<std::ptrdiff_t>(prompt.size());
      std::vector<TokenId> ids = tokenizer_->encode(text + answer);
      if (!std::equal(prompt.begin(), prompt.end(), ids.begin(), ids.begin() + std::min(asked, std::ssize(ids)))) {
        // A token would go over the end of the question.
        ids = prompt;
        const std::vector<TokenId> answers = tokenizer_->encode(answer);
        ids.insert(ids.end(), answers.begin(), answers.end());
      }
      const auto surplus = static_cast<std::ptrdiff_t>(before_.size() + ids.size()) - 1 - options_.length;
      if (surplus < 0) {
        filler.push_back(source.next());
        has_grown = true;
      } else if (surplus > tokens(filler.back()) && filler.size() > 1 && !has_grown) {
        filler.pop_back();
      } else {
        ids.erase(ids.begin(), ids.begin() + surplus);
        ids.insert(ids.begin(), before_.begin(), before_.end());
        const std::ptrdiff_t moved = std::ssize(before_) - surplus;
        fill(ids, asked + moved, to);
        to.question = std::min<std::int64_t>(asked, tokens(context)) + moved;
        return;
      }
    }
  }

 private:
  // Sentences without an end, beginning anywhere.
  class Filler {
   public:
    Filler(const NeedleTexts& texts, SplitMix64& draws)
        : texts_(texts), draws_(draws), place_(draws.below(kFiller.size())) {}
    std::string next() {
      if (texts_.options_.haystack == Haystack::repeat)
        return " " + kFiller[(place_ += kFiller.size() - 1) % kFiller.size()];  // backwards: the last one is the first
      std::string sentence;
      constexpr int kMostOfSentence = 12;
      do {
        sentence.clear();
        for (const TokenId word : draw_sentence(texts_.grammar_, kMostOfSentence, draws_))
          sentence += (word == texts_.grammar_.end ? "" : " ") + texts_.grammar_.words[word];
      } while (!sentence.ends_with('.'));
      sentence[1] = static_cast<char>(sentence[1] & ~0x20);  // a capital; words are ASCII
      return sentence;
    }

   private:
    const NeedleTexts& texts_;
    SplitMix64& draws_;
    std::size_t place_;
  };

  int tokens(const std::string& text) const { return static_cast<int>(tokenizer_->encode(text).size()); }

  std::string draw_number(SplitMix64& draws) const {
    std::string number(1, static_cast<char>('1' + draws.below(9)));
    while (static_cast<int>(number.size()) < options_.digits) number += static_cast<char>('0' + draws.below(10));
    return number;
  }

  // The question and its answer: for each key in the order asked, its numbers in the order of the text.
  std::pair<std::string, std::string> draw_needles(SplitMix64& draws, std::vector<std::string>& hidden) const {
    std::vector<std::string> keys;
    for (const TokenId key : draw_distinct(0, static_cast<TokenId>(nouns().size()), options_.keys, draws))
      keys.push_back(nouns()[key]);
    std::vector<int> owners;  // of each needle, an index of keys; the first are asked for
    for (int key = 0; key < options_.keys; ++key)
      owners.insert(owners.end(), key < options_.queries ? options_.values : 1, key);
    draws.shuffle(owners);
    std::vector<std::string> answers(options_.queries);
    for (const int owner : owners) {
      const std::string number = draw_number(draws);
      hidden.push_back(needle_sentence(keys[owner], number));
      if (owner < options_.queries) answers[owner] += " " + number;
    }
    keys.resize(options_.queries);
    return {question_of(keys, options_.values), fmt::format("{}", fmt::join(answers, ""))};
  }

  // Ascending; with several places a needle is at any of them.
  std::vector<double> draw_depths(std::size_t count, SplitMix64& draws) const {
    std::vector<double> depths(count);
    for (double& depth : depths)
      depth = options_.depth.empty() ? draws.uniform() : options_.depth[draws.below(options_.depth.size())];
    std::ranges::sort(depths);
    return depths;
  }

  // The first sentence is always filler: what is too long is cut off there.
  static std::string hide(const std::vector<std::string>& hidden, const std::vector<double>& depths,
                          const std::vector<std::string>& filler) {
    std::string text;
    std::size_t needle = 0;
    const auto gaps = static_cast<double>(filler.size() - 1);
    for (std::size_t placed = 0; placed < filler.size(); ++placed) {
      text += filler[filler.size() - 1 - placed];
      while (needle < hidden.size() && (placed + 1 == filler.size() || std::round(depths[needle] * gaps) <= placed))
        text += hidden[needle++];
    }
    return text;
  }

  // The digits of the answer are asked for; the last token is not fed. `first`: token of the answer.
  void fill(const std::vector<TokenId>& ids, std::ptrdiff_t first, Example& to) const {
    to.input.assign(ids.begin(), ids.end() - 1);
    to.targets.assign(to.input.size(), kNoTarget);
    to.optimum.assign(to.input.size(), 0.0);
    for (auto at = static_cast<std::size_t>(first); at < ids.size(); ++at)
      if (tokenizer_->has_digit(ids[at])) {
        // Two numbers may stand in tokens side by side, of which the second has the blank: " 5678".
        if (to.targets[at - 2] != kNoTarget && !tokenizer_->begins_with_digit(ids[at]))
          to.next_answers.push_back(static_cast<std::int64_t>(at) - 1);
        to.targets[at - 1] = ids[at];
      }
  }

  NeedleOptions options_;
  std::shared_ptr<const TextTokenizer> tokenizer_;
  std::vector<TokenId> before_;  // every text
  Grammar grammar_;
};

std::unique_ptr<Task> make_needle(const NeedleOptions& options, const TaskReading& reading) {
  auto tokenizer = read_tokenizer(reading);
  if (tokenizer == nullptr) return nullptr;
  GeneratedShape shape{.length = options.length,
                       .vocab_size = tokenizer->vocab_size(),
                       .ids_are_bytes = tokenizer->is_bytes(),
                       .tokenizer = tokenizer->folder()};
  const auto texts = std::make_shared<const NeedleTexts>(options, std::move(tokenizer));
  if (const int least = texts->least_length(); options.length < least) {
    reading.problems.add(
        reading.where,
        fmt::format("needle: a length of {} has no room for the numbers, the question and filler", options.length),
        fmt::format("give a length of at least {}, or fewer numbers", least));
    return nullptr;
  }
  return generated(reading, shape, [texts](SplitMix64& draws, Example& to) { texts->draw(draws, to); });
}

const RegisteredTask kNeedle{task_kind<NeedleOptions>({.name = "needle",
                                                       .doc = "Numbers hidden in filler text, asked for at the end.",
                                                       .paper = "Hsieh et al. 2024, RULER (arXiv:2404.06654)",
                                                       .keys = {tokenizer_key(), examples_key()}},
                                                      make_needle)};

}  // namespace
}  // namespace attnlab::tasks

// Words as often as a zeta distribution expects them: which come most often, the most frequent first (RULER's frequent
// words extraction, Hsieh et al. 2024). There counts are drawn, and the most frequent word is noise that is not asked
// for; here counts of words that are asked for, and of the next one, are all different, so that there is one right
// answer.
#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include "tasks/counted_words.h"

namespace attnlab::tasks {
namespace {

constexpr int kWordSyllables = 3;

struct FrequentWordsOptions {
  int length = 1024;
  int asked = 3;
  int vocab = 500;
  double alpha = 2;

  static constexpr auto fields() {
    using F = FrequentWordsOptions;
    return std::tuple{
        field("length", &F::length, {.min = 16, .max = 1 << 20, .unit = "tokens", .doc = "An example, at most."}),
        field("asked", &F::asked, {.min = 1, .max = 8, .doc = "Words that are asked for."}),
        field("vocab", &F::vocab, {.min = 2, .max = kCodedWords, .doc = "Words that there are."}),
        field("alpha", &F::alpha,
              {.min = 1.1, .max = 8, .doc = "The word of rank r comes as often as r^-alpha says."})};
  }
  static void check(const FrequentWordsOptions& options, Problems& problems) {
    if (options.asked >= options.vocab) problems.add("asked", "are no fewer than the words that there are");
  }
};

std::string question_of(int asked) {
  return fmt::format("\nWhich {} come most often, the most frequent first?",
                     asked == 1 ? "word" : fmt::format("{} words", asked));
}

class FrequentWords {
 public:
  FrequentWords(const FrequentWordsOptions& options, std::shared_ptr<const TextTokenizer> tokenizer)
      : options_(options), tokenizer_(std::move(tokenizer)), mean_(mean_tokens_of_word(*tokenizer_, kWordSyllables)) {
    for (int rank = 1; rank <= options_.vocab; ++rank) weights_ += std::pow(rank, -options_.alpha);
  }

  // Counts of asked + 1 words that are all different have room in an eighth of the list.
  [[nodiscard]] int least_length() const { return around() + 8 * steps() * word(); }

  void draw(SplitMix64& draws, Example& to) const {
    int words = static_cast<int>((options_.length - around()) / mean_);
    // Ranks beyond the number of words have none.
    const std::vector<TokenId> numbers = draw_distinct(0, kCodedWords, std::min(options_.vocab, words), draws);
    std::string answer;
    for (int rank = 0; rank < options_.asked; ++rank) answer += " " + coded_word(numbers[rank], kWordSyllables);
    for (bool is_written = false; !is_written; words -= 1 + words / 64) {  // fewer where these take more tokens
      const std::vector<int> counts = counts_of(words);
      std::vector<std::string> list;
      for (std::size_t rank = 0; rank < counts.size(); ++rank)
        list.insert(list.end(), counts[rank], coded_word(numbers[rank], kWordSyllables));
      draws.shuffle(list);
      is_written = write_words(*tokenizer_, list, question_of(options_.asked), answer, options_.length, to);
    }
  }

 private:
  [[nodiscard]] int word() const { return most_tokens_of_word(*tokenizer_, kWordSyllables); }
  [[nodiscard]] int around() const {
    return static_cast<int>(tokenizer_->before_text().size() + tokenizer_->encode(question_of(options_.asked)).size()) +
           options_.asked * word();
  }
  // 1 + 2 + ... + (asked + 1)
  [[nodiscard]] int steps() const { return (options_.asked + 1) * (options_.asked + 2) / 2; }

  // By rank, `words` in all: what the distribution expects, at least 1; those that are asked for, and the next one, are
  // all different.
  [[nodiscard]] std::vector<int> counts_of(int words) const {
    const auto expected = [&](int rank) {
      return static_cast<int>(std::floor((words - steps()) * std::pow(rank + 1, -options_.alpha) / weights_));
    };
    std::vector<int> counts(options_.asked + 1);
    int left = words;
    for (int rank = options_.asked; rank >= 0; --rank) {
      const int least = rank == options_.asked ? 1 : counts[rank + 1] + 1;
      left -= counts[rank] = std::max(expected(rank), least);
    }
    for (int rank = options_.asked + 1; rank < options_.vocab && left > 0; ++rank)
      left -= counts.emplace_back(std::min(left, std::clamp(expected(rank), 1, counts[options_.asked])));
    counts[0] += left;
    return counts;
  }

  FrequentWordsOptions options_;
  std::shared_ptr<const TextTokenizer> tokenizer_;
  double mean_;         // tokens of a word
  double weights_ = 0;  // of all ranks
};

std::unique_ptr<Task> make_frequent_words(const FrequentWordsOptions& options, const TaskReading& reading) {
  const auto tokenizer = read_tokenizer(reading);
  if (tokenizer == nullptr) return nullptr;
  const auto words = std::make_shared<const FrequentWords>(options, tokenizer);
  return made_of_texts(reading, "frequent_words", options.length, words->least_length(), *tokenizer,
                       [words](SplitMix64& draws, Example& to) { words->draw(draws, to); });
}

const RegisteredTask kFrequentWords{
    task_kind<FrequentWordsOptions>({.name = "frequent_words",
                                     .doc = "Words of very different frequency: which come most often?",
                                     .paper = "Hsieh et al. 2024, RULER (arXiv:2404.06654)",
                                     .keys = {tokenizer_key(), examples_key()}},
                                    make_frequent_words)};

}  // namespace
}  // namespace attnlab::tasks

// A shuffled list in which a few words come often and all others seldom: which are the common ones (RULER's common
// words extraction, Hsieh et al. 2024). Words are made up, not numbered, and asked for in the order of the alphabet, so
// that there is one right answer.
#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "tasks/counted_words.h"

namespace attnlab::tasks {
namespace {

constexpr int kWordSyllables = 2;
constexpr int kWords = 70 * 70;

struct CommonWordsOptions {
  int length = 1024;
  int common = 3;
  int times = 10;
  int rare_times = 2;

  static constexpr auto fields() {
    using C = CommonWordsOptions;
    return std::tuple{
        field("length", &C::length, {.min = 16, .max = 1 << 20, .unit = "tokens", .doc = "An example, at most."}),
        field("common", &C::common, {.min = 1, .max = 64, .doc = "Words that come often, all asked for. RULER: 10."}),
        field("times", &C::times, {.min = 2, .max = 1000, .doc = "That each of them comes. RULER: 30."}),
        field("rare_times", &C::rare_times,
              {.min = 1,
               .max = 999,
               .doc = "That each other word comes, of which there are as many as fit. RULER: "
                      "3."})};
  }
  static void check(const CommonWordsOptions& options, Problems& problems) {
    if (options.rare_times >= options.times) problems.add("rare_times", "are no fewer than the times of common words");
  }
};

std::string question_of(int common) {
  return fmt::format("\nWhich {} come most often, in the order of the alphabet?",
                     common == 1 ? "word" : fmt::format("{} words", common));
}

class CommonWords {
 public:
  CommonWords(const CommonWordsOptions& options, std::shared_ptr<const TextTokenizer> tokenizer)
      : options_(options), tokenizer_(std::move(tokenizer)), mean_(mean_tokens_of_word(*tokenizer_, kWordSyllables)) {}

  [[nodiscard]] int least_length() const {
    return around() + (options_.common * options_.times + options_.rare_times) * word();
  }

  void draw(SplitMix64& draws, Example& to) const {
    const double room = options_.length - around() - options_.common * options_.times * mean_;
    const int rare = std::clamp(static_cast<int>(room / (options_.rare_times * mean_)), 1, kWords - options_.common);
    std::vector<std::string> words;
    for (const TokenId number : draw_distinct(0, kWords, options_.common + rare, draws))
      words.push_back(coded_word(number, kWordSyllables));
    const auto common_count = static_cast<std::size_t>(options_.common);
    const auto common_end = words.begin() + options_.common;
    std::sort(words.begin(), common_end);
    std::string answer;
    for (auto word = words.begin(); word != common_end; ++word) answer += " " + *word;
    // Fewer where these take more tokens than others.
    for (bool is_written = false; !is_written; words.resize(words.size() - 1 - (words.size() - common_count) / 64)) {
      std::vector<std::string> list;
      for (std::size_t i = 0; i < words.size(); ++i)
        list.insert(list.end(), static_cast<int>(i) < options_.common ? options_.times : options_.rare_times, words[i]);
      draws.shuffle(list);
      is_written = write_words(*tokenizer_, list, question_of(options_.common), answer, options_.length, to);
    }
  }

 private:
  [[nodiscard]] int word() const { return most_tokens_of_word(*tokenizer_, kWordSyllables); }
  [[nodiscard]] int around() const {
    return static_cast<int>(tokenizer_->before_text().size() +
                            tokenizer_->encode(question_of(options_.common)).size()) +
           options_.common * word();
  }

  CommonWordsOptions options_;
  std::shared_ptr<const TextTokenizer> tokenizer_;
  double mean_;  // tokens of a word
};

std::unique_ptr<Task> make_common_words(const CommonWordsOptions& options, const TaskReading& reading) {
  const auto tokenizer = read_tokenizer(reading);
  if (tokenizer == nullptr) return nullptr;
  const auto words = std::make_shared<const CommonWords>(options, tokenizer);
  return made_of_texts(reading, "common_words", options.length, words->least_length(), *tokenizer,
                       [words](SplitMix64& draws, Example& to) { words->draw(draws, to); });
}

const RegisteredTask kCommonWords{
    task_kind<CommonWordsOptions>({.name = "common_words",
                                   .doc = "A list in which a few words come often: which?",
                                   .paper = "Hsieh et al. 2024, RULER (arXiv:2404.06654)",
                                   .keys = {tokenizer_key(), examples_key()}},
                                  make_common_words)};

}  // namespace
}  // namespace attnlab::tasks

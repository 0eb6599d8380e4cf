#include "tasks/counted_words.h"

#include <algorithm>
#include <string_view>

namespace attnlab::tasks {
namespace {

constexpr std::string_view kConsonants = "bdfgklmnprstvz";
constexpr std::string_view kVowels = "aeiou";
constexpr int kSyllables = static_cast<int>(kConsonants.size() * kVowels.size());
static_assert(kSyllables * kSyllables * kSyllables == kCodedWords);

}  // namespace

std::string coded_word(int number, int syllables) {
  std::string word;
  for (int i = 0; i < syllables; ++i, number /= kSyllables) {
    word += kConsonants[static_cast<std::size_t>(number % kSyllables) / kVowels.size()];
    word += kVowels[static_cast<std::size_t>(number % kSyllables) % kVowels.size()];
  }
  return word;
}

bool write_words(const TextTokenizer& tokenizer, const std::vector<std::string>& words, const std::string& question,
                 const std::string& answer, int length, Example& to) {
  std::string text;
  for (const std::string& word : words) text += " " + word;
  const auto of_words = static_cast<std::int64_t>(tokenizer.encode(text).size());
  auto [ids, asked] = answered(tokenizer, text + question, answer);
  const std::vector<TokenId> before = tokenizer.before_text();
  if (std::ssize(before) + std::ssize(ids) - 1 > length) return false;
  ids.insert(ids.begin(), before.begin(), before.end());
  fill_answers(tokenizer, ids, asked + std::ssize(before), to);
  to.question = std::min<std::int64_t>(asked, of_words) + std::ssize(before);
  return true;
}

int most_tokens_of_word(const TextTokenizer& tokenizer, int syllables) {
  return 2 * syllables + (tokenizer.is_bytes() ? 1 : 2);  // a token a byte, and what may stand before a text
}

double mean_tokens_of_word(const TextTokenizer& tokenizer, int syllables) {
  constexpr int kSample = 200, kStep = 1699;  // a prime: all first syllables come up
  std::string text;
  for (int i = 0; i < kSample; ++i) text += " " + coded_word(i * kStep, syllables);
  return static_cast<double>(tokenizer.encode(text).size()) / kSample;
}

}  // namespace attnlab::tasks

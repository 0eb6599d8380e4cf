// Texts that are lists of made-up words, and a question about how often they come: what common_words and frequent_words
// share.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tasks/hidden_text.h"

namespace attnlab::tasks {

/// A word that can be spoken: a consonant and a vowel, and so on. No two numbers below kCodedWords have the same.
inline constexpr int kCodedWords = 70 * 70 * 70;
[[nodiscard]] std::string coded_word(int number, int syllables);

/// Words with a blank before each, the question and its answer, as an example of at most `length` tokens; nothing is
/// written where they are more.
[[nodiscard]] bool write_words(const TextTokenizer& tokenizer, const std::vector<std::string>& words,
                               const std::string& question, const std::string& answer, int length, Example& to);

/// Tokens that a word takes in a list: at most, and on average over some of them.
[[nodiscard]] int most_tokens_of_word(const TextTokenizer& tokenizer, int syllables);
[[nodiscard]] double mean_tokens_of_word(const TextTokenizer& tokenizer, int syllables);

}  // namespace attnlab::tasks

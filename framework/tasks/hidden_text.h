// Texts in which something is hidden, and a question about it at the end: what needles, pass keys and chains of
// variables have in common; and the part of it that texts without filler share, which token of an answer is asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <attnlab/options.h>
#include <attnlab/random.h>

#include "tasks/generated.h"
#include "tasks/grammar_rules.h"
#include "tasks/task.h"
#include "tasks/task_kind.h"
#include "tasks/text_tokenizer.h"

namespace attnlab::tasks {

/// Filler: a few sentences again and again, or those of the grammar.
enum class Haystack : std::uint8_t { repeat, grammar };

struct HiddenText {
  std::vector<std::string> hidden;  // sentences in the order of the text, each with a blank before it
  std::string question;             // begins a line
  std::string answer;               // words or numbers, each with a blank before it
};

class HiddenTexts {
 public:
  /// `length`: tokens that are fed. `depths`: places of a sentence, of which one is drawn; empty: anywhere.
  HiddenTexts(int length, Haystack haystack, std::vector<double> depths,
              std::shared_ptr<const TextTokenizer> tokenizer);

  /// Filler with the sentences at their depths, the question and its answer; the last token is not fed, and the first
  /// sentence of the filler is cut so that the length is met to the token.
  void write(const HiddenText& text, SplitMix64& draws, Example& to) const;

  [[nodiscard]] int tokens(const std::string& text) const;
  /// Of filler in an example, at least, and what stands before every text.
  [[nodiscard]] int least_filler() const;

 private:
  class Filler;
  [[nodiscard]] std::vector<double> draw_depths(std::size_t count, SplitMix64& draws) const;
  static std::string hide(const std::vector<std::string>& hidden, const std::vector<double>& depths,
                          const std::vector<std::string>& filler);

  int length_;
  Haystack haystack_;
  std::vector<double> depths_;
  std::shared_ptr<const TextTokenizer> tokenizer_;
  std::vector<TokenId> before_;  // every text
  Grammar grammar_;
};

/// The ids of `text` and then of `answer`, whose first is at `first`: none goes over the end of the text.
struct AnsweredIds {
  std::vector<TokenId> ids;
  std::ptrdiff_t first = 0;
};
[[nodiscard]] AnsweredIds answered(const TextTokenizer& tokenizer, const std::string& text, const std::string& answer);

/// An example of these ids: letters and digits from `first` on are asked for, and a word or number is an answer of its
/// own; the last token is not fed.
void fill_answers(const TextTokenizer& tokenizer, const std::vector<TokenId>& ids, std::ptrdiff_t first, Example& to);

/// The task of texts, or a problem where its length has no room for `least` tokens.
[[nodiscard]] std::unique_ptr<Task> made_of_texts(const TaskReading& reading, std::string_view name, int length,
                                                  int least, const TextTokenizer& tokenizer, DrawExample draw);

/// A number of so many digits; the first is not 0.
[[nodiscard]] std::string draw_number(int digits, SplitMix64& draws);

}  // namespace attnlab::tasks

template <>
inline constexpr std::array<attnlab::Choice<attnlab::tasks::Haystack>, 2> attnlab::kChoices<attnlab::tasks::Haystack>{
    {{"repeat", attnlab::tasks::Haystack::repeat}, {"grammar", attnlab::tasks::Haystack::grammar}}};

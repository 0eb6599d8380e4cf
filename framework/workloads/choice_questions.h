// Questions with choices, a text a line of a JSON file: {"prompt": "...", "choices": ["...", ...], "answer": 0}, or
// several about one text, {"prompt": "...", "questions": [{"question": "...", "choices": [...], "answer": 1}, ...]}.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <attnlab/api.h>

#include "model/tokenizers/tokenizer.h"

namespace attnlab::experiment {

struct ChoiceQuestion {
  std::string question;  // what stands between the prompt and each choice; may be empty
  std::vector<std::string> choices;
  int answer = 0;  // the right one
};
struct ChoiceText {
  std::string prompt;
  std::vector<ChoiceQuestion> questions;
  int line = 0;
};

/// The first `most` texts; 0: all. Error with file and line for what is not of this form, and where there is none.
[[nodiscard]] ATTNLAB_API std::vector<ChoiceText> read_choice_texts(const std::filesystem::path& file, int most);

struct TokenQuestion {
  struct Choice {
    std::vector<model::TokenId> tokens;
    double bytes = 0;  // of its text
  };
  std::vector<model::TokenId> question;
  std::vector<Choice> choices;
  int answer = 0;
};
struct ATTNLAB_API TokenText {
  std::vector<model::TokenId> prompt;  // with what the tokenizer puts before it
  std::vector<TokenQuestion> questions;

  /// Tokens of the prompt, a question and its longest choice but the last, which is not fed.
  [[nodiscard]] int longest() const;
};

/// Parts are cut where their texts end, except that blanks at the end of a prompt or question begin what follows, as
/// tokenizers take them; a part whose first token would go over such an end is taken by itself. Error with file and
/// line for a part without tokens that needs some, and ids outside the model's vocabulary.
[[nodiscard]] ATTNLAB_API std::vector<TokenText> tokens_of(const std::vector<ChoiceText>& texts,
                                                           const std::filesystem::path& file,
                                                           const model::Tokenizer& tokenizer, int vocab_size);

}  // namespace attnlab::experiment

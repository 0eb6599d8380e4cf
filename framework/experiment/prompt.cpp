#include "experiment/prompt.h"

#include <fmt/format.h>

#include <attnlab/error.h>

namespace attnlab::experiment {

std::vector<model::TokenId> encode_prompt(const model::Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode_with_special(text);
}

void check_prompt(const std::vector<model::TokenId>& tokens, int vocab_size, const std::string& where) {
  if (tokens.empty()) throw Error(where, "the prompt has no tokens", "at least one is needed");
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocab_size)
      throw Error(where, fmt::format("token id {} (the {}th) is outside the model's vocabulary of {}", tokens[i], i + 1,
                                     vocab_size),
                  "use the tokenizer of this model");
}

}  // namespace attnlab::experiment

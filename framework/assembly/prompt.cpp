#include "assembly/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <attnlab/error.h>

#include "base/utf8.h"
#include "report/read/text_file.h"

namespace attnlab::experiment {

std::vector<model::TokenId> encode_prompt(const model::Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode_with_special(text);
}

void check_prompt(const std::vector<model::TokenId>& tokens, int vocab_size, const std::string& where) {
  if (tokens.empty()) throw Error(where, "the prompt has no tokens", "at least one is needed");
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= vocab_size)
      throw Error(
          where,
          fmt::format("token id {} (the {}th) is outside the model's vocabulary of {}", tokens[i], i + 1, vocab_size),
          "use the tokenizer of this model");
}

std::vector<model::TokenId> end_tokens(const model::ModelConfig& config, const model::Tokenizer& tokenizer) {
  std::vector<model::TokenId> ends(config.eos_tokens.begin(), config.eos_tokens.end());
  if (const std::optional<model::TokenId> end = tokenizer.eos()) ends.push_back(*end);
  return ends;
}

void check_logits(std::span<const float> logits, int position) {
  constexpr float kMost = std::numeric_limits<float>::max();
  int finite = 0, low = 0;  // beside them are NaN and Inf; a vocabulary is looked through at every token
#pragma omp simd reduction(+ : finite, low)
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float logit = logits[i];
    finite += logit >= -kMost && logit <= kMost ? 1 : 0;
    low += logit < -kMost ? 1 : 0;
  }
  if (finite + low < static_cast<int>(logits.size())) {
    const bool has_nan = std::ranges::any_of(logits, [](float logit) { return std::isnan(logit); });
    throw std::runtime_error(
        fmt::format("the logits of position {} hold {}; the activations overflow, or weights are damaged: try the same "
                    "weights in F32, or with --allow-nonfinite to see them as they are",
                    position, has_nan ? "NaN" : "Inf"));
  }
  if (finite == 0) throw std::runtime_error(fmt::format("the logits of position {} are all -Inf", position));
}

std::vector<model::TokenId> read_text_tokens(const std::filesystem::path& path, const model::Tokenizer& tokenizer,
                                             int vocab_size) {
  const std::string text = report::read_text(path);
  if (const auto bad = first_invalid_utf8(text))
    throw Error(path.string(), fmt::format("the text is not UTF-8 at byte {}", *bad));
  std::vector<model::TokenId> ids;
  try {
    ids = tokenizer.encode(text);
  } catch (const Error& error) {
    const Problem& problem = error.problems().front();
    throw Error(problem.where.empty() ? path.string() : problem.where, problem.what, problem.remedy);
  }
  if (ids.size() < 2) throw Error(path.string(), "the text has fewer than two tokens");
  check_prompt(ids, vocab_size, path.string());
  return ids;
}

}  // namespace attnlab::experiment

// What reverse and sort have in common: tokens, the highest id as a marker, and an answer of as many tokens.
#pragma once

#include <functional>
#include <memory>

#include "tasks/generated.h"

namespace attnlab::tasks {

struct AnsweringOptions {
  int tokens = 16;
  int vocab = 16;
  Feed feed = Feed::answer;

  static constexpr auto fields() {
    using A = AnsweringOptions;
    return std::tuple{
        field("tokens", &A::tokens, {.min = 1, .max = 1 << 18, .doc = "Of the question, and of the answer."}),
        field("vocab", &A::vocab, {.min = 3, .max = 1 << 24, .doc = "Tokens, with the marker."}),
        field("feed", &A::feed,
              {.doc = "What is fed where the answer is asked for: the answer so far, or the marker as a blank."})};
  }
};

/// `answer` turns the question into the answer.
[[nodiscard]] inline std::unique_ptr<Task> make_answering(const AnsweringOptions& options, const TaskReading& reading,
                                                          void (*answer)(std::vector<TokenId>& tokens)) {
  return generated(reading,
                   {.length = options.tokens + asked_tokens(options.tokens, options.feed), .vocab_size = options.vocab},
                   [=](SplitMix64& draws, Example& to) {
                     const TokenId marker = options.vocab - 1;
                     for (int i = 0; i < options.tokens; ++i)
                       to.input.push_back(static_cast<TokenId>(draws.below(static_cast<std::uint64_t>(marker))));
                     std::vector<TokenId> tokens = to.input;
                     answer(tokens);
                     ask(tokens, marker, options.feed, marker, to);
                   });
}

}  // namespace attnlab::tasks

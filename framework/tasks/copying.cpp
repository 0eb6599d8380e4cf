#include "tasks/copying.h"

namespace attnlab::tasks {
namespace {

void draw_copying(const CopyingOptions& options, Blanks blanks, SplitMix64& draws, Example& to) {
  const TokenId blank = options.vocab - 2, marker = options.vocab - 1;
  const int count = options.length - options.tokens - asked_tokens(options.tokens, options.feed);
  std::vector<TokenId> tokens;
  for (int i = 0; i < options.tokens; ++i)
    tokens.push_back(static_cast<TokenId>(draws.below(static_cast<std::uint64_t>(blank))));
  std::vector<int> before(static_cast<std::size_t>(options.tokens), 0);  // blanks before each token
  for (int i = 0; blanks == Blanks::among && i < count; ++i) ++before[draws.below(before.size())];
  for (int i = 0; i < options.tokens; ++i) {
    to.input.insert(to.input.end(), before[i], blank);
    to.input.push_back(tokens[i]);
  }
  if (blanks == Blanks::after) to.input.insert(to.input.end(), count, blank);
  ask(tokens, marker, options.feed, blank, to);
}

}  // namespace

std::unique_ptr<Task> make_copying(const CopyingOptions& options, Blanks blanks, const TaskReading& reading) {
  return generated(reading, {.length = options.length, .vocab_size = options.vocab},
                   [=](SplitMix64& draws, Example& to) { draw_copying(options, blanks, draws, to); });
}

}  // namespace attnlab::tasks

// Reversal: tokens, a marker, and the tokens from the last to the first.
#include <algorithm>

#include "tasks/answering.h"

namespace attnlab::tasks {
namespace {

std::unique_ptr<Task> make_reverse(const AnsweringOptions& options, const TaskReading& reading) {
  return make_answering(options, reading, [](std::vector<TokenId>& tokens) { std::ranges::reverse(tokens); });
}

const RegisteredTask kReverse{
    task_kind<AnsweringOptions>({.name = "reverse",
                                 .doc = "Tokens, a marker: then the tokens are asked for from the last to the first.",
                                 .keys = {examples_key()}},
                                make_reverse)};

}  // namespace
}  // namespace attnlab::tasks

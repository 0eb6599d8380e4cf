// Sorting: tokens, some of them several times, a marker, and the tokens by their ids.
#include <algorithm>

#include "tasks/answering.h"

namespace attnlab::tasks {
namespace {

std::unique_ptr<Task> make_sort(const AnsweringOptions& options, const TaskReading& reading) {
  return make_answering(options, reading, [](std::vector<TokenId>& tokens) { std::ranges::sort(tokens); });
}

const RegisteredTask kSort{
    task_kind<AnsweringOptions>({.name = "sort",
                                 .doc = "Tokens, a marker: then the tokens are asked for in ascending order.",
                                 .keys = {examples_key()}},
                                make_sort)};

}  // namespace
}  // namespace attnlab::tasks

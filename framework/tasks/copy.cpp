// Copying: tokens, blanks, a marker, and the tokens again.
#include "tasks/copying.h"

namespace attnlab::tasks {
namespace {

std::unique_ptr<Task> make_copy(const CopyingOptions& options, const TaskReading& reading) {
  return make_copying(options, Blanks::after, reading);
}

const RegisteredTask kCopy{
    task_kind<CopyingOptions>({.name = "copy",
                               .doc = "Tokens, blanks, a marker: then the tokens are asked for in their order.",
                               .paper = "Poli et al. 2024, MAD (arXiv:2403.17844)",
                               .keys = {examples_key()}},
                              make_copy)};

}  // namespace
}  // namespace attnlab::tasks

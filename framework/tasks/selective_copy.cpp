// Selective copying: tokens among blanks, a marker, and the tokens again. Where a token stood says nothing about where
// its copy belongs, so it has to be found by what it is.
#include "tasks/copying.h"

namespace attnlab::tasks {
namespace {

std::unique_ptr<Task> make_selective_copy(const CopyingOptions& options, const TaskReading& reading) {
  return make_copying(options, Blanks::among, reading);
}

const RegisteredTask kSelectiveCopy{
    task_kind<CopyingOptions>({.name = "selective_copy",
                               .doc = "Tokens among blanks, a marker: then the tokens are asked for in their order.",
                               .paper = "Poli et al. 2024, MAD (arXiv:2403.17844)",
                               .keys = {examples_key()}},
                              make_selective_copy)};

}  // namespace
}  // namespace attnlab::tasks

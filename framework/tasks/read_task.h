// A task as YAML names it: `recall`, `{recall: {length: 64, pairs: 4}}` or `{mix: [...]}`.
#pragma once

#include <filesystem>
#include <memory>

#include <attnlab/api.h>

#include "config/node.h"
#include "config/problem_list.h"
#include "tasks/task.h"

namespace attnlab::tasks {

/// Null pointer where a problem was added, each with its place. Files are read here, so it takes as long as they are.
/// Paths are relative to the file that the node stands in, else to `base`. `tokenizer`: a folder that cuts the texts of
/// tasks which name none; empty: they are bytes.
[[nodiscard]] ATTNLAB_API std::unique_ptr<Task> read_task(const config::Node& node, config::ProblemList& problems,
                                                          const std::filesystem::path& base = {},
                                                          const std::filesystem::path& tokenizer = {});
/// The same; Error with all problems.
[[nodiscard]] ATTNLAB_API std::unique_ptr<Task> read_task(const config::Node& node);

/// What a training asks of its task.
struct TaskUse {
  int vocab_size = 0;             // of the model
  std::int64_t batch = 1;         // sequences of a step
  int most_positions = 0;         // that the model can take; 0: any number
  bool needs_validation = false;  // something is measured on what is held out
};

/// Error, at the task's place, where it cannot be used so.
ATTNLAB_API void check_task(const Task& task, const TaskUse& use);

}  // namespace attnlab::tasks

// Tasks from a line of YAML, and what is wrong with one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/node.h"
#include "tasks/read_task.h"
#include "tasks/task.h"

namespace attnlab::tasks {

inline std::unique_ptr<Task> task_of(const std::string& yaml) {
  return read_task(config::parse_text(yaml, "f.yaml"));
}

/// One problem a line.
inline std::string problems_of(const std::string& yaml) {
  config::ProblemList problems;
  const auto task = read_task(config::parse_text(yaml, "f.yaml"), problems);
  EXPECT_EQ(task == nullptr, !problems.empty());
  std::string text;
  for (const Problem& problem : problems.sorted()) text += problem.text() + "\n";
  return text;
}

inline Example example_of(const Task& task, std::int64_t index, Split split = Split::train, std::uint64_t seed = 1) {
  Example example;
  task.example(seed, split, index, example);
  return example;
}

/// The tokens that are asked for, in order.
inline std::vector<TokenId> asked(const Example& example) {
  std::vector<TokenId> tokens;
  for (const TokenId target : example.targets)
    if (target != kNoTarget) tokens.push_back(target);
  return tokens;
}

}  // namespace attnlab::tasks

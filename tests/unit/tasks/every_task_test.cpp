// What holds of every task: examples are functions of (seed, split, index), fit into what the task says of itself, and
// the splits are apart.
#include <cmath>
#include <set>
#include <thread>

#include <fmt/format.h>

#include "tasks/task_kind.h"
#include "unit/model_test_files.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

// One of each kind, small; tasks of files get one.
std::vector<std::pair<std::string, std::unique_ptr<Task>>> every_task() {
  static const model_test::TempFolder folder;
  static const std::string text =
      folder.write("text.txt", std::string(40, 'a') + "The tail is held out, here and everywhere else.").string();
  std::string ids;
  for (int i = 0; i < 200; ++i) ids += std::to_string(i * i % 37) + (i % 10 == 9 ? '\n' : ' ');
  const std::string tokens = folder.write("ids.txt", ids).string();
  std::vector<std::pair<std::string, std::unique_ptr<Task>>> all;
  for (const TaskKind* kind : task_kinds()) {
    const std::string name(kind->name);
    std::string yaml = name;
    if (name == "text") yaml = fmt::format("text: {{files: {}, context: 4, held_out: 0.5}}", text);
    if (name == "tokens") yaml = fmt::format("tokens: {{file: {}, length: 7, held_out: 0.3}}", tokens);
    if (name == "mix") yaml = "mix: [{sort: {tokens: 6}, share: 1}, {copy: {length: 40}, share: 2}]";
    all.emplace_back(name, task_of(yaml));
  }
  return all;
}

bool same(const Example& a, const Example& b) {
  return a.input == b.input && a.targets == b.targets && a.optimum == b.optimum;
}

std::int64_t few(const Task& task, Split split) {
  return std::min<std::int64_t>(task.examples(split), 40);
}

TEST(EveryTask, IsKnownByName) {
  std::set<std::string> names;
  for (const TaskKind* kind : task_kinds()) names.insert(std::string(kind->name));
  EXPECT_EQ(names, (std::set<std::string>{"addition", "common_words", "copy", "dyck", "frequent_words", "grammar",
                                          "induction", "markov", "mix", "needle", "passkey", "recall", "reverse",
                                          "selective_copy", "sort", "text", "tokens", "variable_tracking"}));
}

TEST(EveryTask, MakesExamplesThatFitIntoWhatItSaysOfItself) {
  for (const auto& [name, task] : every_task())
    for (const Split split : {Split::train, Split::validation})
      for (std::int64_t index = 0; index < few(*task, split); ++index) {
        SCOPED_TRACE(testing::Message() << name << ", example " << index);
        const Example example = example_of(*task, index, split);
        ASSERT_GT(example.input.size(), 0U);
        EXPECT_LE(static_cast<int>(example.input.size()), task->length());
        ASSERT_EQ(example.targets.size(), example.input.size());
        for (const TokenId id : example.input) EXPECT_TRUE(id >= 0 && id < task->vocab_size()) << id;
        int targets = 0;
        for (const TokenId id : example.targets) {
          EXPECT_TRUE(id == kNoTarget || (id >= 0 && id < task->vocab_size())) << id;
          targets += id != kNoTarget ? 1 : 0;
        }
        EXPECT_GT(targets, 0);
        ASSERT_EQ(example.optimum.size(), task->facts().knows_optimum ? example.input.size() : 0U);
        for (std::size_t at = 0; at < example.optimum.size(); ++at) {
          EXPECT_GE(example.optimum[at], 0) << at;
          EXPECT_TRUE(std::isfinite(example.optimum[at])) << at;
          const bool is_certain = task->facts().has_answers || example.targets[at] == kNoTarget;
          if (is_certain) {
            EXPECT_EQ(example.optimum[at], 0) << at;
          }
        }
      }
}

TEST(EveryTask, IsAFunctionOfSeedSplitAndIndex) {
  for (const auto& [name, task] : every_task()) {
    SCOPED_TRACE(name);
    std::vector<Example> before;
    for (std::int64_t index = 0; index < few(*task, Split::train); ++index) before.push_back(example_of(*task, index));
    // In another order, from other threads, into an example that was used.
    std::vector<std::thread> threads;
    std::vector<int> wrong(2, 0);
    for (int thread = 0; thread < 2; ++thread)
      threads.emplace_back([&, thread] {
        Example used = example_of(*task, 0, Split::validation, 9);
        for (auto index = static_cast<std::int64_t>(before.size()) - 1 - thread; index >= 0; index -= 2) {
          task->example(1, Split::train, index, used);
          wrong[thread] += same(used, before[index]) ? 0 : 1;
        }
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, (std::vector<int>{0, 0}));
    const auto again = every_task();
    for (const auto& [other, same_task] : again)
      if (other == name) {
        EXPECT_TRUE(same(example_of(*same_task, 3 % few(*task, Split::train)), before[3 % before.size()]));
      }
  }
}

TEST(EveryTask, ThatIsDrawnDiffersBySeedIndexAndSplit) {
  for (const auto& [name, task] : every_task()) {
    if (task->examples(Split::train) != kEndless) continue;
    SCOPED_TRACE(name);
    int alike = 0;
    for (std::int64_t index = 0; index < 40; ++index) {
      const Example one = example_of(*task, index);
      alike += same(one, example_of(*task, index + 1)) ? 1 : 0;
      alike += same(one, example_of(*task, index, Split::train, 2)) ? 1 : 0;
      alike += same(one, example_of(*task, index, Split::validation)) ? 1 : 0;
    }
    EXPECT_LE(alike, 1) << "few of the spaces are so small";
  }
}

// Also where every input comes up many times: a sort of three tokens of two values has eight.
TEST(EveryTask, WithAnswersHasNoInputInBothSplits) {
  const char* const small[] = {"sort: {tokens: 5, vocab: 4}",
                               "reverse: {tokens: 5, vocab: 4}",
                               "addition: {digits: 1}",
                               "induction: {length: 5, vocab: 4}",
                               "copy: {length: 11, tokens: 4, vocab: 5}",
                               "selective_copy: {length: 11, tokens: 4, vocab: 4}",
                               "recall: {length: 8, pairs: 2, vocab: 8}"};
  for (const char* yaml : small) {
    SCOPED_TRACE(yaml);
    const auto task = task_of(yaml);
    std::set<std::vector<TokenId>> inputs[2];
    for (std::int64_t index = 0; index < 3000; ++index)
      for (const Split split : {Split::train, Split::validation})
        inputs[static_cast<int>(split)].insert(
            example_of(*task, index, split, static_cast<std::uint64_t>(index % 3)).input);
    int both = 0;
    for (const auto& input : inputs[0]) both += inputs[1].contains(input) ? 1 : 0;
    EXPECT_EQ(both, 0);
    EXPECT_GT(inputs[0].size(), 5U);
    EXPECT_GT(inputs[1].size(), 1U);
  }
}

TEST(EveryTask, HasExamplesOfOtherSplitsThatAreNotTheSameNumbers) {
  for (const auto& [name, task] : every_task()) {
    SCOPED_TRACE(name);
    if (name == "text" || name == "tokens" || name == "mix") continue;
    const auto counted = task_of(name + ": {examples: 2k}");
    EXPECT_EQ(counted->examples(Split::train), 2000);
    EXPECT_EQ(counted->examples(Split::validation), kEndless);
    EXPECT_TRUE(same(example_of(*counted, 7), example_of(*task, 7)));
  }
}

TEST(EveryTask, TellsItsOptionsWithAllDefaults) {
  EXPECT_EQ(task_of("recall: {pairs: 2, examples: 1k}")->facts().resolved.dump(),
            R"({"recall":{"length":64,"pairs":2,"vocab":8192,"examples":"1k"}})");
  EXPECT_EQ(task_of("addition")->facts().resolved.dump(), R"({"addition":{"digits":3,"sum":"reversed"}})");
  EXPECT_EQ(task_of("mix: [{sort: {tokens: 6}, share: 2}]")->facts().resolved.dump(),
            R"({"mix":[{"sort":{"tokens":6,"vocab":16,"feed":"answer"},"share":2.0}]})");
}

}  // namespace
}  // namespace attnlab::tasks

// Mixtures: each task has its share exactly, in every thousand, and no example of it is left out or comes twice.
#include <map>
#include <set>

#include <fmt/format.h>

#include "unit/model_test_files.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

TEST(MixTask, HoldsTheSharesInEveryThousand) {
  // Lengths tell them apart.
  const auto task = task_of(
      "mix: [{sort: {tokens: 4}, share: 1}, {reverse: {tokens: 6, vocab: 40}, share: 2}, {addition: {digits: 3}, "
      "share: 3}]");
  EXPECT_EQ(task->length(), 12);
  EXPECT_EQ(task->vocab_size(), 40);
  EXPECT_EQ(task->examples(Split::train), kEndless);
  EXPECT_EQ(task->examples(Split::validation), kEndless);
  EXPECT_TRUE(task->facts().has_answers && task->facts().knows_optimum);
  bool is_mixed = false;
  for (const Split split : {Split::train, Split::validation})
    for (int block = 0; block < 3; ++block) {
      std::map<std::size_t, int> counts;
      std::size_t last = 0;
      int changes = 0;
      for (int index = 0; index < 1000; ++index) {
        const std::size_t length = example_of(*task, 1000 * block + index, split).input.size();
        ++counts[length];
        changes += length == last ? 0 : 1;
        last = length;
      }
      EXPECT_EQ(counts, (std::map<std::size_t, int>{{8, 167}, {12, 333}, {11, 500}}));
      is_mixed = is_mixed || changes > 400;
    }
  EXPECT_TRUE(is_mixed);
}

TEST(MixTask, TakesEveryExampleOfATaskOnceARound) {
  const model_test::TempFolder folder;
  std::string ids;
  for (int i = 0; i < 1800; ++i) ids += std::to_string(i) + "\n";
  const auto task =
      task_of(fmt::format("mix: [{{tokens: {{file: {}, length: 2, order: shuffled, held_out: 0.5}}, "
                          "share: 0.1}}, {{recall: {{vocab: 600}}, share: 0.9}}]",
                          folder.write("ids.txt", ids).string()));
  // A tenth of a thousand is 100, and 300 sequences are in each split: three thousands are a round.
  for (const Split split : {Split::train, Split::validation})
    for (int round = 0; round < 2; ++round) {
      std::set<TokenId> firsts;
      for (int index = 0; index < 3000; ++index) {
        const Example example = example_of(*task, 3000 * round + index, split);
        if (example.input.size() == 2) {
          EXPECT_TRUE(firsts.insert(example.input[0]).second);
        }
      }
      EXPECT_EQ(firsts.size(), 300U);
      EXPECT_EQ(*firsts.rbegin() < 900, split == Split::train);
    }
  EXPECT_FALSE(task->facts().knows_optimum);
  EXPECT_EQ(task->facts().files.size(), 1U);
}

TEST(MixTask, OfOneKindTwiceHasDifferentExamples) {
  const auto task = task_of("mix: [{sort: {tokens: 8}, share: 1}, {sort: {tokens: 8}, share: 1}]");
  std::set<std::vector<TokenId>> inputs;
  for (int index = 0; index < 1000; ++index) inputs.insert(example_of(*task, index).input);
  EXPECT_EQ(inputs.size(), 1000U);
}

TEST(MixTask, RefusesWhatIsNoMixture) {
  EXPECT_EQ(problems_of("mix: []"),
            "f.yaml:1:1: mix: expected a list of tasks, got an empty one; write mix: [{TASK: {OPTION: VALUE}, share: "
            "0.5}, ...]\n");
  EXPECT_EQ(problems_of("mix: {sort: {}}"),
            "f.yaml:1:1: mix: expected a list of tasks, got a map; write mix: [{TASK: {OPTION: VALUE}, share: 0.5}, "
            "...]\n");
  EXPECT_EQ(problems_of("mix: [{sort: {tokens: 4}}]"),
            "f.yaml:1:7: mix: a task needs a share above 0; write {TASK: {OPTION: VALUE}, share: 0.5}\n");
  EXPECT_EQ(
      problems_of("mix: [{sort: {tokens: 0}, share: 1}, {srot: {}, share: 1}]"),
      "f.yaml:1:23: tokens: 0 is outside 1..262144\nf.yaml:1:39: unknown task \"srot\"; did you mean \"sort\"?\n");
  EXPECT_EQ(problems_of("mix: [{sort: , share: 1}, {copy: , share: 0.0001}]"),
            "f.yaml:1:28: mix: the share of copy is less than one of 1000 examples\n");
  const std::string tokenizer = std::string(ATTNLAB_TEST_DATA_DIR) + "/tokenizer/metaspace";
  EXPECT_EQ(
      problems_of(fmt::format("mix: [{{needle: , share: 1}}, {{needle: {{tokenizer: {}}}, share: 1}}]", tokenizer)),
      "f.yaml:1:30: mix: needle has another tokenizer than needle; one model has one tokenizer\n");
}

}  // namespace
}  // namespace attnlab::tasks

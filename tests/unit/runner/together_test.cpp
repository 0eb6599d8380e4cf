// Which arms of a round take turns.
#include "runner/together.h"

#include <gtest/gtest.h>

#include "machine/memory.h"
#include "study/plan.h"
#include "unit/model_test_files.h"

namespace attnlab::experiment {
namespace {

class Together : public testing::Test {
 protected:
  // How many of the arms, each with every case, are measured together.
  std::size_t together(const std::string& arms, const std::string& workloads, const std::string& more = "") const {
    const std::string tiny = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";
    const Plan plan = make_plan(folder_.write("f.yaml", "name: x\nmodel: " + tiny + "\nthreads: 1\narms: " + arms +
                                                            "\nworkloads: " + workloads + "\n" + more + "\n"),
                                {});
    std::vector<ProcessTask> tasks;
    for (std::size_t arm = 0; arm < plan.arms.size(); ++arm) {
      tasks.push_back({.arm = arm, .seed = 1, .round = 0, .cases = {}});
      for (std::size_t index = 0; index < plan.cases.size(); ++index) tasks.back().cases.push_back(index);
    }
    return measured_together(plan, tasks);
  }
  model_test::TempFolder folder_;
  const std::string three_ = "[{attention: mha}, {attention: gqa}, {attention: mqa}]";
};

TEST_F(Together, AreTheArmsWhoseSpeedIsMeasured) {
  EXPECT_EQ(together(three_, "[speed: {batch: q8}]"), 3U);
  EXPECT_EQ(together(three_, "[speed: {batch: q8}]", "interleave: false"), 1U);
  EXPECT_EQ(together(three_, "[generate: {prompt: x, tokens: 2}]"), 1U);
}

TEST_F(Together, AreNoMoreThanMemoryHolds) {
  // Rows of 512 bytes: two layers, two kv heads, keys and values of 16 numbers.
  const std::int64_t quarter = memory_limit_bytes() / 4 / 512;
  if (quarter > 2'000'000'000) GTEST_SKIP() << "there is memory for longer sequences than there are";
  const std::string arms = "[{name: a}, {name: b}, {name: c}]";
  EXPECT_EQ(together(arms, "[speed: {batch: q1s" + std::to_string(quarter) + "}]"), 2U);
  EXPECT_EQ(together(arms, "[speed: {batch: q1s" + std::to_string(quarter / 2) + "}]"), 3U);
}

TEST_F(Together, HoldWhatIsAlikeOnce) {
  // Two layers, each with three matrices of 1,024 times as many numbers of 4 bytes: 40 % of the memory.
  const std::int64_t inner = memory_limit_bytes() * 2 / 5 / (2 * 3 * 1024 * 4);
  if (inner > 10'000'000) GTEST_SKIP() << "there is memory for wider models than there are";
  const std::string wide = "model: {hidden_size: 1024, intermediate_size: " + std::to_string(inner);
  const std::string arms = "[{name: a, " + wide + "}}, {name: b, " + wide + "}}, {name: c, attention: mqa, " + wide;
  EXPECT_EQ(together(arms + "}}]", "[speed: {batch: q1s1}]"), 3U);
  EXPECT_EQ(together(arms + ", initializer_range: 0.5}}]", "[speed: {batch: q1s1}]"), 2U);
  EXPECT_EQ(together(arms + "}}]", "[speed: {batch: q1s1}]", "limits: {memory: 1TiB}"), 1U);
}

TEST_F(Together, AreNoMoreProcessesThanAMachineCarries) {
  std::string arms = "[";
  for (int window = 1; window <= 70; ++window) arms += "{cache: {window: {window: " + std::to_string(window) + "}}}, ";
  EXPECT_EQ(together(arms + "]", "[speed: {batch: q8}]"), 64U);
}

}  // namespace
}  // namespace attnlab::experiment

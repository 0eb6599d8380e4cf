#include <gtest/gtest.h>

#include "cluster/slurm.h"

namespace attnlab::cluster {
namespace {

TEST(SlurmStates, AreOneForEachElementOfALine) {
  const std::vector<JobState> states = parse_states(
      "12_0|COMPLETED|None|n1|attnlab-1-0\n"
      "12_1|FAILED|NonZeroExitCode|n2|attnlab-1-0\n"
      "12_[2-4,7%200]|PENDING|Priority||attnlab-1-0\n"
      "13_[5]|PENDING|Dependency||attnlab-1-1\n"
      "99|RUNNING|None|n1|another\n"
      "slurm_load_jobs error\n");
  ASSERT_EQ(states.size(), 7U);
  EXPECT_EQ(states[1], (JobState{"attnlab-1-0", "12", 1, "FAILED", "NonZeroExitCode", "n2"}));
  std::vector<int> pending;
  for (const JobState& state : states)
    if (state.state == "PENDING") pending.push_back(state.task);
  EXPECT_EQ(pending, (std::vector<int>{2, 3, 4, 7, 5}));
  EXPECT_FALSE(states[0].is_alive());
  EXPECT_FALSE(states[1].is_alive());
  EXPECT_TRUE(states[2].is_alive());
  EXPECT_EQ(states[6].array, "13");
}

TEST(SlurmStates, OfAccountsHaveNoNamesAndMoreWords) {
  const std::vector<JobState> states = parse_history(
      "12_3|CANCELLED by 1000|None|n1\n12_4|OUT_OF_MEMORY|OutOfMemory|n2\n12_4.batch|OUT_OF_MEMORY||n2\n");
  ASSERT_GE(states.size(), 2U);
  EXPECT_EQ(states[0], (JobState{"", "12", 3, "CANCELLED", "None", "n1"}));
  EXPECT_EQ(states[1].words(), "OUT_OF_MEMORY in job 12_4 on n2 (OutOfMemory)");
  EXPECT_EQ(states.size(), 2U) << "steps are no elements";
}

TEST(SlurmStates, ThatMeanAnElementMayStillLeaveAResult) {
  for (const char* state : {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED"})
    EXPECT_TRUE((JobState{.state = state}).is_alive()) << state;
  for (const char* state : {"COMPLETED", "FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED", "CANCELLED",
                            "BOOT_FAIL", "DEADLINE", ""})
    EXPECT_FALSE((JobState{.state = state}).is_alive()) << state;
}

}  // namespace
}  // namespace attnlab::cluster

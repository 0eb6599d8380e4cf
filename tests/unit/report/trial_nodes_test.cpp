// Trials of several machines: which of them may be set side by side.
#include "report/summary/trial_nodes.h"

#include <gtest/gtest.h>

#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

TrialResult on(TrialResult trial, const std::string& node, const std::string& kind, const std::string& together) {
  trial.details["node"] = {{"name", node}, {"kind", kind}};
  if (!together.empty()) trial.details["node"]["together"] = together;
  return trial;
}

TEST(TrialNodes, OfOneKindAllCount) {
  std::vector<TrialResult> trials;
  for (int round = 0; round < 4; ++round)
    for (const char* name : {"mha", "gqa"})
      trials.push_back(
          on(trial(arm(name), round, {prefill(100)}), round < 2 ? "n1" : "n2", "zen", "job " + std::to_string(round)));
  EXPECT_TRUE(leave_out_other_nodes(trials).empty());
  EXPECT_EQ(trials.size(), 8U);
  std::vector<TrialResult> plain = {trial(arm("mha"), 0, {prefill(1)})};
  EXPECT_TRUE(leave_out_other_nodes(plain).empty());
  EXPECT_EQ(plain.size(), 1U);
}

TEST(TrialNodes, OfARoundThatTwoJobsMeasuredOneCounts) {
  std::vector<TrialResult> trials = {on(trial(arm("mha"), 0, {prefill(1)}), "n1", "zen", "a"),
                                     on(trial(arm("gqa"), 0, {prefill(1)}), "n2", "zen", "b"),
                                     on(trial(arm("mqa"), 0, {prefill(1)}), "n2", "zen", "b"),
                                     on(trial(arm("mha"), 1, {prefill(1)}), "n1", "zen", "c")};
  const std::vector<std::string> said = leave_out_other_nodes(trials);
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].find("1 trials are left out"), std::string::npos) << said[0];
  ASSERT_EQ(trials.size(), 3U);
  for (const TrialResult& one : trials) EXPECT_FALSE(one.arm == "mha/full" && one.round == 0);
}

TEST(TrialNodes, OfSeveralKindsTheOneWithMostRoundsCounts) {
  std::vector<TrialResult> trials;
  for (int round = 0; round < 5; ++round)
    trials.push_back(on(trial(arm("mha"), round, {prefill(1)}), "n" + std::to_string(round), round < 3 ? "zen" : "xeon",
                        "job " + std::to_string(round)));
  // What is measured once does not depend on the machine.
  trials.push_back(on(trial(arm("mha"), 0, {kv_bytes(1)}), "n4", "xeon", ""));
  const std::vector<std::string> said = leave_out_other_nodes(trials);
  ASSERT_EQ(said.size(), 1U);
  for (const char* part : {"2 rounds on n3, n4", "(xeon)", "3 rounds that count (zen)"})
    EXPECT_NE(said[0].find(part), std::string::npos) << said[0];
  EXPECT_EQ(trials.size(), 4U);
}

TEST(TrialNodes, OfTrainingsOnlySpeedsAreLeftOut) {
  std::vector<TrialResult> trials;
  for (const char* kind : {"zen", "xeon"}) {
    TrialResult one = trial(
        arm("mha"), 0,
        {{"validation_loss", "nats", "lower", 2, false}, {"train_tokens_per_second", "tokens/s", "higher", 5, false}});
    one.workload = "train";
    trials.push_back(on(one, kind, kind, ""));
  }
  EXPECT_EQ(leave_out_other_nodes(trials).size(), 1U);
  for (const TrialResult& one : trials) {
    ASSERT_EQ(one.samples.size(), 1U);
    EXPECT_EQ(one.samples[0].metric, "validation_loss");
  }
}

}  // namespace
}  // namespace attnlab::report::test

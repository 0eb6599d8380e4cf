// Adaptive repeats stop on what a reader of a speed study looks at, and on nothing else.
#include "report/summary/stopping.h"

#include <gtest/gtest.h>

#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

const ArmLayout kMha = arm("mha");
const ArmLayout kGqa = arm("gqa");

// Rounds in which the machine as a whole is up to 30 % slower; the ratio of the arms moves by `noise`.
Summary rounds_of(int rounds, double noise, const std::vector<TrialResult>& more = {}) {
  std::vector<TrialResult> trials = more;
  for (int round = 0; round < rounds; ++round) {
    const double wobble = noise * ((round * 5) % 7 - 3) / 3;
    trials.push_back(trial(kMha, round, {prefill(100 * (1 + wobble / 10))}));
    trials.push_back(trial(kGqa, round, {prefill(150 * (1 + wobble))}));
  }
  return summarise(completed(layout({kMha, kGqa}), trials), trials);
}

TEST(Stopping, GoesOnUntilTheWidestIntervalIsNarrowEnough) {
  EXPECT_TRUE(is_narrow_enough(rounds_of(10, 0.001), 0.02));
  EXPECT_FALSE(is_narrow_enough(rounds_of(10, 0.1), 0.02));
  EXPECT_TRUE(is_narrow_enough(rounds_of(10, 0.1), 0.2));
}

TEST(Stopping, GoesOnWhileThereIsNoInterval) {
  const Summary few = rounds_of(5, 0);
  EXPECT_FALSE(is_narrow_enough(few, 0.5));
  EXPECT_EQ(widest_interval(few),
            "no 95 % interval yet of prefill tokens/s of mha/full in speed q512, measured 5 times");
  EXPECT_TRUE(is_narrow_enough(rounds_of(6, 0), 0.02));
}

TEST(Stopping, NamesTheWidestInterval) {
  const Summary summary = rounds_of(14, 0.1);
  const std::string words = widest_interval(summary);
  EXPECT_TRUE(words.starts_with("the widest interval is ± ")) << words;
  EXPECT_TRUE(words.ends_with(" %: prefill tokens/s of gqa/full in speed q512")) << words;
}

TEST(Stopping, DoesNotWaitForAnArmThatFailsNorForOtherMetrics) {
  TrialResult failed = trial(arm("mqa"), 1, {});
  failed.status = "failed";
  const Sample latency = {"token_latency_p99_s", "s", "lower", 1, false};
  EXPECT_TRUE(is_narrow_enough(rounds_of(8, 0.001, {trial(arm("mqa"), 0, {prefill(3)}), failed}), 0.02));
  EXPECT_TRUE(is_narrow_enough(rounds_of(8, 0.001, {trial(arm("mqa"), 0, {latency})}), 0.02));
  EXPECT_FALSE(is_narrow_enough(rounds_of(8, 0.001, {trial(arm("mqa"), 0, {prefill(3)})}), 0.02));
  EXPECT_TRUE(is_narrow_enough({}, 0.02));
  EXPECT_EQ(widest_interval({}), "");
}

}  // namespace
}  // namespace attnlab::report::test

// What could disturb a run, and whether it has settled: judged from numbers, so that a busy machine decides no test.
#include "runner/disturbance.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/warmup.h"

namespace attnlab::experiment {
namespace {

TEST(ProcFiles, AddUpTheTimesOfAllProcessors) {
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto times = cpu_times_in("cpu  100 20 30 400 50 6 7 80 11 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
  ASSERT_TRUE(times);
  EXPECT_DOUBLE_EQ(times->busy, (100 + 20 + 30 + 6 + 7) * tick);  // time of guests (11) is part of user
  EXPECT_DOUBLE_EQ(times->steal, 80 * tick);
  EXPECT_DOUBLE_EQ(times->total, (163 + 400 + 50 + 80) * tick);
  EXPECT_FALSE(cpu_times_in(""));
  EXPECT_FALSE(cpu_times_in("intr 5"));
}

TEST(ProcFiles, TellOneProcessFromAnotherOfTheSameNumber) {
  const auto own = start_ticks(getpid());
  ASSERT_TRUE(own);
  EXPECT_EQ(start_ticks(getpid()), own);
  EXPECT_GE(process_age_seconds(), 0);
  EXPECT_GT(resident_bytes(getpid()), 1 << 20);
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(start_ticks(child)) << "a process that has ended holds nothing any more";
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(start_ticks(child));
  EXPECT_EQ(resident_bytes(child), 0);
}

// Two processors for ten seconds, of which six are ours.
RoundRecord judged(double busy, double steal, double wall_seconds = 10) {
  return judge({100, 10, 1000}, {100 + busy, 10 + steal, 1020}, 6, wall_seconds);
}

TEST(Disturbance, IsTheTimeOfAllProcessorsThatOthersTook) {
  EXPECT_DOUBLE_EQ(judged(8, 0).other_cpu_share, 0.1);
  EXPECT_FALSE(judged(8, 0).disturbed) << "a tenth is allowed";
  EXPECT_TRUE(judged(8.1, 0).disturbed);
  EXPECT_DOUBLE_EQ(judged(6, 1).steal_share, 0.05);
  EXPECT_FALSE(judged(6, 1).disturbed);
  EXPECT_TRUE(judged(6, 1.1).disturbed);
  // Ticks are coarse: we may have used more than they show.
  EXPECT_EQ(judged(5.9, 0).other_cpu_share, 0);
}

TEST(Disturbance, IsNotSaidOfARoundThatIsShorterThanTicksCanTell) {
  EXPECT_TRUE(judged(19, 0, 0.5).disturbed);
  EXPECT_FALSE(judged(19, 0, 0.49).disturbed);
  EXPECT_FALSE(judge({1, 0, 2}, {1, 0, 2}, 0, 5).disturbed);
}

TEST(Disturbance, ComesBackFromItsFile) {
  RoundRecord record = judged(9, 2);
  record.round = 3;
  record.attempt = 2;
  record.repeated = true;
  record.load_average = 1.5;
  record.frequency_mhz = 2400;
  const nlohmann::json json = record;
  EXPECT_EQ(nlohmann::json(json.get<RoundRecord>()), json);
  EXPECT_EQ(json.at("disturbed"), true);
}

WarmupRound round_of(std::initializer_list<double> values) {
  WarmupRound round;
  int number = 0;
  for (const double value : values) round["arm " + std::to_string(number++)] = value;
  return round;
}

TEST(Warmup, AgreesWhereTheMachineAsAWholeIsAsFastAsBefore) {
  const WarmupRound first = round_of({100, 200, 50, 400, 80});
  EXPECT_TRUE(compare(first, first).agrees());
  EXPECT_NEAR(compare(first, round_of({110, 220, 55, 440, 88})).difference, 0.1, 1e-12);
  EXPECT_FALSE(compare(first, round_of({110, 220, 55, 440, 88})).agrees());
  EXPECT_FALSE(compare(first, round_of({90, 180, 45, 360, 72})).agrees()) << "slower is a difference too";
  EXPECT_TRUE(compare(first, round_of({101, 202, 50.5, 404, 80.8})).agrees()) << "1 % is within the least noise";
  // One arm that is off says nothing of the machine.
  EXPECT_TRUE(compare(first, round_of({100, 200, 50, 400, 160})).agrees());
}

TEST(Warmup, AllowsMoreWhereTheFiguresThemselvesSpread) {
  const WarmupRound first = round_of({100, 100, 100, 100, 100});
  const Agreement spread = compare(first, round_of({80, 90, 104, 120, 130}));
  EXPECT_GT(spread.noise, 0.1);
  EXPECT_TRUE(spread.agrees());
}

TEST(Warmup, ComparesWhatBothRoundsHave) {
  EXPECT_TRUE(compare({}, round_of({1, 2})).agrees());
  WarmupRound more = round_of({100});
  more["new"] = 5;
  EXPECT_TRUE(compare(round_of({100}), more).agrees());
}

TEST(Warmup, LooksAtThroughputsOnly) {
  report::TrialResult trial;
  trial.arm = "gqa";
  trial.samples = {{"prefill_tokens_per_second", "tokens/s", "higher", 5},
                   {"decode_tokens_per_second", "tokens/s", "higher", 6},
                   {"token_latency_p99_s", "s", "lower", 7}};
  WarmupRound round;
  add_throughputs(round, trial);
  trial.case_name = "other";
  add_throughputs(round, trial);
  EXPECT_EQ(round.size(), 4u);
}

TEST(Attempts, TheQuieterIsTheOneInWhichOthersTookLess) {
  const auto attempt = [](double other, double steal) {
    return RoundRecord{.other_cpu_share = other, .steal_share = steal};
  };
  EXPECT_TRUE(is_quieter(attempt(0.2, 0), attempt(0.4, 0)));
  EXPECT_FALSE(is_quieter(attempt(0.4, 0), attempt(0.2, 0)));
  EXPECT_FALSE(is_quieter(attempt(0.2, 0), attempt(0.2, 0))) << "the first stays where there is nothing to choose";
  // A share of the host weighs twice as much: it disturbs from half as much on.
  EXPECT_TRUE(is_quieter(attempt(0.15, 0), attempt(0, 0.1)));
  EXPECT_FALSE(is_quieter(attempt(0.15, 0.12), attempt(0.2, 0)));
}

TEST(Attempts, SayWhichCounts) {
  RoundRecord record{.round = 3, .attempt = 2, .disturbed = true, .repeated = false, .counts = false};
  EXPECT_FALSE(nlohmann::json(record).get<RoundRecord>().counts);
  // Files of before: the last attempt counted.
  nlohmann::json old = record;
  old.erase("counts");
  EXPECT_TRUE(old.get<RoundRecord>().counts);
  old["repeated"] = true;
  EXPECT_FALSE(old.get<RoundRecord>().counts);
}

}  // namespace
}  // namespace attnlab::experiment

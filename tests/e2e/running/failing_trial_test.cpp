// Trials that die: a row with the cause for the arm that they belong to, and nothing for the others to notice. The arm
// has two cases, so what died is started anew.
#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

struct Death {
  std::string ending;  // as the option of the plugin `crashing`
  std::vector<std::string> mentions;
  friend std::ostream& operator<<(std::ostream& stream, const Death& test) { return stream << test.ending; }
};

class EveryDeath : public testing::TestWithParam<Death> {
 protected:
  void SetUp() override {
    const fs::path plugin = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/crashing/crashing.so";
    ASSERT_TRUE(fs::exists(plugin)) << plugin;
    sandbox_.write("study.yaml", Experiment{.arms = "[{attention: mqa}, {attention: {crashing: {ending: " +
                                                    GetParam().ending + "}}}, {attention: gqa}]",
                                            .workloads = "[{speed: {batch: [q8]}}, {generate: {prompt: x, tokens: 2}}]",
                                            .more = "plugins: [" + plugin.string() + "]",
                                            .in_turns = true}
                                     .yaml());
  }
  Sandbox sandbox_;
};

TEST_P(EveryDeath, IsARowOfItsArmWithTheCauseAndTheOtherArmsGoOn) {
  const Outcome outcome = sandbox_.run({"run", "study.yaml", "-o", "out"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  const CsvTable summary = summary_of(sandbox_ / "out");
  EXPECT_EQ(summary.distinct("arm"),
            (std::vector<std::string>{"mqa/rope/full", "crashing/rope/full", "gqa/rope/full"}));
  for (std::size_t row = 0; row < summary.rows(); ++row) {
    const std::string& status = summary.at(row, "status");
    if (summary.at(row, "arm") != "crashing/rope/full") {
      EXPECT_EQ(status, "ok");
      continue;
    }
    EXPECT_TRUE(status.starts_with("failed: ")) << status;
    expect_mentions(status, GetParam().mentions);
    EXPECT_EQ(summary.at(row, "median"), "");
  }
  // One row for each case.
  for (const char* workload : {"speed", "generate"}) {
    EXPECT_EQ(summary.where({{"arm", "crashing/rope/full"}, {"workload", workload}}).size(), 1U);
    for (const char* arm : {"mqa/rope/full", "gqa/rope/full"})
      EXPECT_GT(summary.where({{"arm", arm}, {"workload", workload}}).size(), 1U);
  }
  expect_mentions(outcome.out, GetParam().mentions);
  expect_mentions(read_file(sandbox_ / "out/report.md"), {"failed"});
  // Every trial has its file, those that died too.
  int died = 0;
  for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials")) {
    const auto trial = nlohmann::json::parse(read_file(entry.path()));
    const bool is_crashing = trial.at("arm") == "crashing/rope/full";
    EXPECT_EQ(trial.at("status"), is_crashing ? "failed" : "ok");
    if (is_crashing) expect_mentions(trial.at("reason"), GetParam().mentions);
    died += is_crashing ? 1 : 0;
  }
  EXPECT_EQ(died, 2);
}

INSTANTIATE_TEST_SUITE_P(
    , EveryDeath,
    testing::Values(Death{"abort", {"attention \"crashing\" (", "signal 6", "Aborted", "in forward"}},
                    Death{"exit", {"exit code 3"}},
                    Death{"exception", {"attention \"crashing\" (", "threw in forward: the attention wandered off"}},
                    Death{"memory", {"out of memory"}}),
    [](const auto& test) { return test.param.ending; });

TEST(FailedTrials, AreNotStartedAgainInTheRoundsThatFollow) {
  const Sandbox sandbox;
  const fs::path plugin = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/crashing/crashing.so";
  sandbox.write("study.yaml", Experiment{.repeats = "3",
                                         .arms = "[{attention: mqa}, {attention: crashing}]",
                                         .more = "warmup: 0\nplugins: [" + plugin.string() + "]",
                                         .in_turns = true}
                                  .yaml());
  const auto reasons = [&] {
    std::map<int, std::string> reasons;
    for (const auto& entry : fs::directory_iterator(sandbox / "out/trials")) {
      const auto trial = nlohmann::json::parse(read_file(entry.path()));
      const bool is_crashing = trial.at("arm") == "crashing/rope/full";
      EXPECT_EQ(trial.at("status"), is_crashing ? "failed" : "ok");
      if (is_crashing) reasons[trial.at("round").get<int>()] = trial.at("reason");
    }
    return reasons;
  };
  const auto expect_one_start = [&] {
    const std::map<int, std::string> found = reasons();
    ASSERT_EQ(found.size(), 3U) << "every round has its row";
    expect_mentions(found.at(0), {"signal 6"});
    EXPECT_FALSE(found.at(0).starts_with("not started")) << found.at(0);
    for (const int round : {1, 2}) EXPECT_EQ(found.at(round), "not started again after round 1: " + found.at(0));
  };
  EXPECT_EQ(sandbox.run({"run", "study.yaml", "-o", "out"}).exit_code, 1);
  expect_one_start();
  const CsvTable summary = summary_of(sandbox / "out");
  const auto rows = summary.where({{"arm", "crashing/rope/full"}});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(summary.at(rows.front(), "n"), "3");
  expect_mentions(summary.at(rows.front(), "status"), {"failed: ", "signal 6"});
  // A resume tries it once more, and once only.
  EXPECT_EQ(sandbox.run({"run", "study.yaml", "-o", "out", "--resume"}).exit_code, 1);
  expect_one_start();
}

TEST(FailedTrials, AreTriedAgainByResume) {
  const Sandbox sandbox;
  const fs::path plugin = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/crashing/crashing.so";
  sandbox.write("study.yaml", Experiment{.arms = "[{attention: mqa}, {attention: crashing}]",
                                         .more = "plugins: [" + plugin.string() + "]"}
                                  .yaml());
  EXPECT_EQ(sandbox.run({"run", "study.yaml", "-o", "out"}).exit_code, 1);
  const Outcome again = sandbox.run({"run", "study.yaml", "-o", "out", "--resume"});
  EXPECT_EQ(again.exit_code, 1) << again;
  expect_mentions(again.out, {"done before", "signal 6"});
}

// A command that has no trial to blame: the signal is the program's own, but it is still no silence.
TEST(FailedTrials, CannotTakeValidateWithThem) {
  const Sandbox sandbox;
  const fs::path plugin = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/crashing/crashing.so";
  sandbox.write("study.yaml",
                Experiment{.arms = "[{attention: crashing}]", .more = "plugins: [" + plugin.string() + "]"}.yaml());
  expect_well(sandbox.run({"validate", "study.yaml"}));
}

}  // namespace
}  // namespace attnlab::program_test

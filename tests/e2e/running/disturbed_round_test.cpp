// A round that others disturbed is measured twice: the quieter attempt counts, both stay on disk, and environment.json
// says which is which.
#include <nlohmann/json.hpp>

#include "e2e/background.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

using nlohmann::json;

// As many processes as there are processors that do nothing but take their time, until the end of the scope.
class Spinners {
 public:
  Spinners() {
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i) {
      const pid_t pid = fork();
      if (pid == 0) {
        alarm(300);  // whatever becomes of the test
        for (volatile unsigned long turns = 0;; turns = turns + 1) {
        }
      }
      if (pid > 0) pids_.push_back(pid);
    }
  }
  ~Spinners() { end(); }
  Spinners(const Spinners&) = delete;
  Spinners& operator=(const Spinners&) = delete;
  void end() {
    for (const pid_t pid : pids_) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
    pids_.clear();
  }

 private:
  std::vector<pid_t> pids_;
};

std::map<std::string, json> trials_in(const fs::path& folder) {
  std::map<std::string, json> trials;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.path().extension() == ".json")
      trials[entry.path().filename().string()] = json::parse(read_file(entry.path()));
  return trials;
}

double noise_of(const json& attempt) {
  return std::max(attempt.at("other_cpu_share").get<double>() / 0.10, attempt.at("steal_share").get<double>() / 0.05);
}

class DisturbedRound : public testing::Test {
 protected:
  void SetUp() override {
    sandbox_.write("study.yaml", Experiment{.arms = "[{attention: mqa}, {attention: gqa}]",
                                            .workloads = "[{speed: {batch: [q512, q256]}}]",
                                            .more = "warmup: 0"}
                                     .yaml());
  }
  void expect_the_quieter_attempt() const;
  Sandbox sandbox_;
};

void DisturbedRound::expect_the_quieter_attempt() const {
  const auto environment = json::parse(read_file(sandbox_ / "out/environment.json"));
  const json& rounds = environment.at("rounds");
  ASSERT_EQ(rounds.size(), 2U) << rounds;
  EXPECT_TRUE(rounds.at(0).at("disturbed").get<bool>() && rounds.at(0).at("repeated").get<bool>());
  const bool second_counts = noise_of(rounds.at(1)) < noise_of(rounds.at(0));
  EXPECT_EQ(rounds.at(0).at("counts"), !second_counts) << rounds;
  EXPECT_EQ(rounds.at(1).at("counts"), second_counts) << rounds;

  // The other attempt lies beside the results under a name that no reader looks at, with the same ids.
  const auto kept = trials_in(sandbox_ / "out/trials");
  const auto superseded = trials_in(sandbox_ / "out/superseded");
  ASSERT_EQ(kept.size(), 4U);
  ASSERT_EQ(superseded.size(), 4U);
  std::set<std::string> values;
  for (const auto& [name, trial] : kept) {
    const std::string id = trial.at("id");
    EXPECT_EQ(name, id + ".json");
    const auto other = superseded.find(fmt::format("{}.attempt-{}.json", id, second_counts ? 1 : 2));
    ASSERT_NE(other, superseded.end()) << id;
    EXPECT_EQ(other->second.at("id"), id);
    EXPECT_NE(other->second.at("samples"), trial.at("samples")) << "two measurements are never the same";
    for (const json& sample : trial.at("samples"))
      if (sample.at("metric").get<std::string>().ends_with("_tokens_per_second"))
        values.insert(sample.at("value").dump());
  }
  // The tables are of the attempt that counts.
  const CsvTable samples(read_file(sandbox_ / "out/samples.csv"));
  std::set<double> shown;
  for (std::size_t row = 0; row < samples.rows(); ++row)
    if (samples.at(row, "metric").ends_with("_tokens_per_second")) shown.insert(std::stod(samples.at(row, "value")));
  std::set<double> expected;
  for (const std::string& value : values) expected.insert(std::stod(value));
  EXPECT_EQ(shown, expected);
}

TEST_F(DisturbedRound, KeepsTheQuieterAttemptAndBothOnDisk) {
  Spinners spinners;
  Background run(sandbox_, {"run", "study.yaml", "-o", "out"});
  // Quiet from the first trial of the second attempt on.
  ASSERT_TRUE(run.wait_until([&] { return !trials_in(sandbox_ / "out/superseded").empty(); })) << run.wait();
  spinners.end();
  const Outcome outcome = run.wait();
  expect_well(outcome);
  expect_mentions(outcome.out, {"round 1/1 again"});
  expect_the_quieter_attempt();
}

TEST_F(DisturbedRound, CountsAnAttemptAsAWhole) {
  const Spinners spinners;  // both attempts are disturbed, and either may be the quieter one
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  expect_the_quieter_attempt();
}

// An attempt that was not finished counts for nothing: the tables are of the first, and a resume has nothing to do.
TEST_F(DisturbedRound, LeavesTheFirstAttemptWhereTheSecondIsInterrupted) {
  const Spinners spinners;
  Background run(sandbox_, {"run", "study.yaml", "-o", "out"});
  ASSERT_TRUE(run.wait_until([&] { return !trials_in(sandbox_ / "out/superseded").empty(); })) << run.wait();
  const auto first = trials_in(sandbox_ / "out/trials");
  ASSERT_EQ(first.size(), 4U);
  run.signal(SIGINT);
  if (run.wait().exit_code != 130) GTEST_SKIP() << "the second attempt was over before the signal came";
  EXPECT_EQ(trials_in(sandbox_ / "out/trials"), first);
  const auto environment = json::parse(read_file(sandbox_ / "out/environment.json"));
  EXPECT_EQ(environment.at("rounds").at(0).at("counts"), true);
  EXPECT_EQ(environment.at("rounds").at(1).at("counts"), false);
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out", "--resume"}));
  EXPECT_EQ(trials_in(sandbox_ / "out/trials"), first);
}

}  // namespace
}  // namespace attnlab::program_test

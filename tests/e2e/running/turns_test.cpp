// Arms of a round that take turns while their speed is measured.
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const std::string kTookTurns = "While their speed was measured, the arms of a round took turns";

class Turns : public testing::Test {
 protected:
  void write(const std::string& arms, const std::string& workloads) const {
    sandbox_.write("study.yaml",
                   Experiment{.arms = arms, .workloads = workloads, .more = "warmup: 0", .in_turns = true}.yaml());
  }
  // By arm.
  std::map<std::string, nlohmann::json> trials() const {
    std::map<std::string, nlohmann::json> trials;
    for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials"))
      if (entry.path().extension() == ".json") {
        nlohmann::json trial = nlohmann::json::parse(read_file(entry.path()));
        trials[trial.at("arm")] = trial;
      }
    return trials;
  }
  Sandbox sandbox_;
};

TEST_F(Turns, GiveEveryArmAsManySlicesOfOneRound) {
  write("[{attention: mqa}, {attention: gqa}, {attention: mha}]", "[{speed: {batch: [q1s64]}}]");
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  std::set<std::string> together;
  std::set<std::size_t> counts;
  for (const auto& [arm, trial] : trials()) {
    const nlohmann::json& slices = trial.at("details").at("slices");
    together.insert(slices.at("together"));
    counts.insert(slices.at("decode_tokens_per_second").size());
  }
  EXPECT_EQ(together.size(), 1U);
  ASSERT_EQ(counts.size(), 1U);
  EXPECT_GE(*counts.begin(), 5U);
  const std::string report = read_file(sandbox_ / "out/report.md");
  expect_mentions(report, {kTookTurns, " of slices"});

  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out", "--resume"}));  // all is done
  EXPECT_EQ(trials().begin()->second.at("details").at("slices").at("together"), *together.begin());
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "alone", "--set", "interleave=false"}));
  EXPECT_EQ(read_file(sandbox_ / "alone/report.md").find(kTookTurns), std::string::npos);
}

TEST_F(Turns, AreForBothPartsOfAPromptThatIsAnswered) {
  write("[{attention: mqa}, {attention: gqa}]", "[{speed: {prompt: [32], generate: [8]}}]");
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  for (const auto& [arm, trial] : trials())
    for (const char* metric : {"prefill_tokens_per_second", "decode_tokens_per_second"})
      EXPECT_GE(trial.at("details").at("slices").at(metric).size(), 1U) << arm << ' ' << metric;
}

}  // namespace
}  // namespace attnlab::program_test

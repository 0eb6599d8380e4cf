// Trials that must not count: too long, too large, NaN, wrong. Each is a row with its status and a reason, without
// timings, and the other arms go on; or the run ends there, where the experiment says so.
#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

struct Stray {
  std::string way;     // as the option of the plugin `straying`
  std::string limits;  // YAML
  std::string status;
  std::vector<std::string> mentions;
  friend std::ostream& operator<<(std::ostream& stream, const Stray& test) { return stream << test.way; }
};

Experiment with_straying(const Stray& stray, const std::string& on_error) {
  const fs::path plugin = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/straying/straying.so";
  EXPECT_TRUE(fs::exists(plugin)) << plugin;
  return {.arms = "[{attention: {straying: {way: " + stray.way + "}}}, {attention: mqa}]",
          .workloads = "[{speed: {batch: [q8]}}, {generate: {prompt: x, tokens: 2}}]",
          .more = "baseline: {attention: mqa}\nwarmup: 0\n" +
                  (stray.limits.empty() ? "" : "limits: " + stray.limits + "\n") + "on_error: " + on_error +
                  "\nplugins: [" + plugin.string() + "]",
          .in_turns = true};
}

class EveryStray : public testing::TestWithParam<Stray> {};

// The memory limit counts private mappings, and the shadow of a sanitizer is larger than any sensible limit.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsLimited = false;
#else
constexpr bool kMemoryIsLimited = true;
#endif

TEST_P(EveryStray, IsARowWithItsStatusAndNoTimings) {
  if (!kMemoryIsLimited && GetParam().way == "eat") GTEST_SKIP() << "the shadow of the sanitizer is beyond the limit";
  const Sandbox sandbox;
  sandbox.write("study.yaml", with_straying(GetParam(), "continue").yaml());
  const Outcome outcome = sandbox.run({"run", "study.yaml", "-o", "out"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  expect_mentions(outcome.out, GetParam().mentions);
  const CsvTable summary = summary_of(sandbox / "out");
  EXPECT_EQ(summary.distinct("arm").size(), 2U);
  for (std::size_t row = 0; row < summary.rows(); ++row) {
    const std::string& status = summary.at(row, "status");
    if (summary.at(row, "attention") == "mqa") {
      EXPECT_EQ(status, "ok");
      continue;
    }
    EXPECT_TRUE(status.starts_with(GetParam().status + ": ")) << status;
    expect_mentions(status, GetParam().mentions);
    EXPECT_EQ(summary.at(row, "median"), "");
  }
  int strayed = 0;
  for (const auto& entry : fs::directory_iterator(sandbox / "out/trials")) {
    const auto trial = nlohmann::json::parse(read_file(entry.path()));
    if (trial.at("arm") != "straying/rope/full") continue;
    ++strayed;
    EXPECT_EQ(trial.at("status"), GetParam().status);
    EXPECT_TRUE(trial.at("samples").empty()) << "a trial that does not count has timings";
  }
  EXPECT_EQ(strayed, 2);
}

INSTANTIATE_TEST_SUITE_P(
    , EveryStray,
    testing::Values(Stray{"hang",
                          "{seconds: 1}",
                          "timed_out",
                          {"longer than the limit of 1 s", "attention \"straying\" (", "in forward"}},
                    Stray{"eat", "{memory: 512MiB, seconds: 120}", "failed", {"out of memory", "512 MiB"}},
                    Stray{"nan", "", "wrong", {"NaN or Inf"}},
                    Stray{"off", "", "wrong", {"attend of layer", "off its slow form"}}),
    [](const auto& test) { return test.param.way; });

TEST(Limits, ATrialThatHangsIsAnnouncedAndNotStartedAgain) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", with_straying({"hang", "{seconds: 3}", "timed_out", {}}, "continue").yaml());
  const Outcome outcome = sandbox.run(
      {"run", "study.yaml", "-o", "out", "--set", "repeats=20", "--set", "workloads=[{speed: {batch: [q8]}}]"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  expect_mentions(
      outcome.out,
      {"now running: round 1/20  straying/rope/full  speed q8 (", "timed_out: it took longer than the limit of 3 s",
       "round 20/20  straying/rope/full  speed q8: timed_out: not started again after round 1"});
}

TEST(OnError, StopEndsTheRunBehindTheFirstTrialThatIsNotWell) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", with_straying({"nan", "", "wrong", {}}, "stop").yaml());
  const Outcome outcome = sandbox.run({"run", "study.yaml", "-o", "out", "--set", "repeats=5"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  int wrong = 0;
  for (const auto& entry : fs::directory_iterator(sandbox / "out/trials"))
    wrong += nlohmann::json::parse(read_file(entry.path())).at("status") == "wrong" ? 1 : 0;
  EXPECT_EQ(wrong, 1);
  EXPECT_TRUE(fs::exists(sandbox / "out/report.md"));
  const auto environment = nlohmann::json::parse(read_file(sandbox / "out/environment.json"));
  expect_mentions(environment.at("study").at("stopped"), {"on_error: stop", "--resume"});
}

}  // namespace
}  // namespace attnlab::program_test

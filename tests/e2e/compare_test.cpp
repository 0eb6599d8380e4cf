// attnlab compare as people call it: two folders, one folder and a revision, exit codes, and what is refused.
#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

class CompareCommand : public testing::Test {
 protected:
  void SetUp() override {
    sandbox_.write("study.yaml", Experiment{.repeats = "2",
                                            .arms = "[{name: full}, {name: short, cache: {window: {window: 8}}}]",
                                            .workloads = "[{speed: {batch: [q1s32]}}]"}
                                     .yaml());
    expect_well(sandbox_.run({"run", "study.yaml", "-o", "old", "--threads", "2"}));
    fs::copy(sandbox_ / "old", sandbox_ / "new", fs::copy_options::recursive);
  }
  // In every trial of the folder that has the metric.
  void multiply(const fs::path& folder, const std::string& metric, double factor) const {
    for (const auto& entry : fs::directory_iterator(folder / "trials")) {
      if (entry.path().extension() != ".json") continue;
      nlohmann::json trial = nlohmann::json::parse(read_file(entry.path()));
      for (nlohmann::json& sample : trial["samples"])
        if (sample.at("metric") == metric) sample["value"] = sample.at("value").get<double>() * factor;
      std::ofstream(entry.path()) << trial.dump();
    }
  }
  Outcome compare(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "compare");
    return sandbox_.run(arguments);
  }

  Sandbox sandbox_;
};

TEST_F(CompareCommand, SaysHowMuchChangedAndFailsBeyondTheThresholdOnly) {
  expect_well(compare({"old", "new"}));
  multiply(sandbox_ / "new", "kv_bytes_allocated", 1.04);
  const Outcome worse = compare({"old", "new"});
  EXPECT_EQ(worse.exit_code, 1) << worse;
  expect_mentions(worse.out, {"speed q1s32", "KV cache", "1.04", "exact", "worse"});
  EXPECT_EQ(compare({"old", "new", "--fail-above", "5%"}).exit_code, 0);
  EXPECT_EQ(compare({"old", "new", "--fail-above", "0.03"}).exit_code, 1);
  EXPECT_EQ(compare({"new", "old"}).exit_code, 0) << "fewer bytes are no regression";
  const Outcome json = compare({"old", "new", "--format", "json"});
  const nlohmann::json found = nlohmann::json::parse(json.out);
  EXPECT_TRUE(found.at("regression").get<bool>());
  int bytes = 0;
  for (const nlohmann::json& row : found.at("rows"))
    if (row.at("metric") == "kv_bytes_allocated") {
      ++bytes;
      EXPECT_NEAR(row.at("ratio").get<double>(), 1.04, 1e-12);
      EXPECT_EQ(row.at("change"), "worse");
    }
  EXPECT_EQ(bytes, 2);  // one row an arm
}

TEST_F(CompareCommand, HoldsAFolderAgainstWhatWasCommittedUnderItsPath) {
  // A folder whose name a shell would take apart.
  const std::string odd = "a $(touch harm) 'folder'";
  fs::create_directory(sandbox_ / "checkout");
  fs::rename(sandbox_ / "new", sandbox_ / "checkout" / odd);
  const std::string git = "git -C '" + (sandbox_ / "checkout").string() + "' -c user.name=n -c user.email=e ";
  if (std::system("git --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "git is not installed";
  ASSERT_EQ(std::system((git + "init -q && " + git + "add . && " + git + "commit -q -m one").c_str()), 0);
  const std::string folder = "checkout/" + odd;
  expect_well(compare({folder, "git:HEAD"}));
  multiply(sandbox_ / folder, "kv_bytes_allocated", 1.5);
  for (const auto& order : {std::vector<std::string>{folder, "HEAD"}, {"git:HEAD", folder}, {folder, "git:HEAD"}}) {
    const Outcome outcome = compare(order);
    EXPECT_EQ(outcome.exit_code, 1) << outcome;
    expect_mentions(outcome.out, {folder + " in HEAD", "1.5", "worse"});
  }
  EXPECT_FALSE(fs::exists(sandbox_ / "harm"));
  expect_wrong_input(compare({folder, "git:--output=harm"}), {"--output=harm", "neither a folder nor a revision"});
  expect_wrong_input(compare({folder, "nowhere"}), {"nowhere", "neither a folder nor a revision"});
  expect_wrong_input(compare({"old", "git:HEAD"}), {"old", "is in no git checkout"});
}

TEST_F(CompareCommand, RefusesWhatCannotBeCompared) {
  fs::create_directory(sandbox_ / "empty");
  expect_refused(sandbox_, {"compare", "old", "empty"}, {"empty", "environment.json"});
  expect_refused(sandbox_, {"compare", "old", "new", "--fail-above", "5"}, {"--fail-above", "\"5\"", "5%"});
  expect_refused(sandbox_, {"compare", "old", "new", "--fail-above", "much"}, {"--fail-above", "much"});
  expect_refused(sandbox_, {"compare", "old", "new", "--format", "yaml"}, {"--format"});
  expect_refused(sandbox_, {"compare", "old"}, {"B"});
}

}  // namespace
}  // namespace attnlab::program_test

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
  expect_wrong_input(compare({"old", "git:HEAD"}), {"old", "is in no git checkout", "HEAD"});
}

TEST_F(CompareCommand, NamesTheFolderThatIsMissing) {
  expect_refused(sandbox_, {"compare", "old", "results/nowhere"}, {"results/nowhere", "no such folder"});
  expect_refused(sandbox_, {"compare", "results/nowhere", "new"}, {"results/nowhere", "no such folder"});
  expect_refused(sandbox_, {"compare", "results/nowhere", "git:HEAD"}, {"results/nowhere", "no such folder"});
  expect_refused(sandbox_, {"compare", "old", "nowhere"}, {"nowhere", "no such folder"});
  expect_refused(sandbox_, {"compare", "nowhere", "neither"}, {"nowhere", "no such folder"});
}

TEST_F(CompareCommand, TakesTheNewestRunOfAFolderOfRuns) {
  fs::create_directories(sandbox_ / "results/study");
  fs::rename(sandbox_ / "new", sandbox_ / "results/study/2026-01-01");
  const Outcome outcome = compare({"old", "results/study"});
  expect_well(outcome);
  expect_mentions(outcome.out, {"results/study (its newest run 2026-01-01)"});
}

// Runs of one experiment that differ in what it is about.
class OtherInputs : public testing::Test {
 protected:
  static std::string yaml(const std::string& more, const std::string& text = "a/sample.txt",
                          const std::string& model = kTinyModel) {
    return Experiment{.model = model,
                      .repeats = "2",
                      .workloads = "[{speed: {batch: [q8]}}, {perplexity: {text: " + text + ", context: 16}}]",
                      .more = more}
        .yaml();
  }
  void run(const std::string& yaml, const std::string& folder) const {
    sandbox_.write(folder + ".yaml", yaml);
    expect_well(sandbox_.run({"run", folder + ".yaml", "-o", folder, "--threads", "1"}));
  }
  // Times may be a regression, of which the exit code tells; whether anything was compared is not up to them.
  nlohmann::json compare(const std::string& other, bool is_compared) const {
    const Outcome outcome = sandbox_.run({"compare", "one", other, "--format", "json", "--fail-above", "100%"});
    nlohmann::json found = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(found.at("compared").get<bool>(), is_compared) << outcome;
    EXPECT_EQ(outcome.exit_code, !is_compared || found.at("regression").get<bool>() ? 1 : 0) << outcome;
    return found;
  }
  // By metric: why it is not compared, or "".
  static std::map<std::string, std::string> reasons(const nlohmann::json& found) {
    std::map<std::string, std::string> all;
    for (const nlohmann::json& row : found.at("rows")) {
      const std::string why = row.value("why", "");
      all[row.at("metric")] = why;
      EXPECT_EQ(row.at("change") == "not comparable", !why.empty()) << row;
      EXPECT_FALSE(!why.empty() && (row.contains("ratio") || row.at("regression") == true)) << row;
    }
    return all;
  }

  void SetUp() override {
    fs::create_directory(sandbox_ / "a");
    fs::create_directory(sandbox_ / "b");
    sandbox_.write("a/sample.txt", std::string(60, 'a') + " text of one kind\n");
    sandbox_.write("b/sample.txt", std::string(60, 'b') + " text of another kind\n");
    run(yaml("seed: 1"), "one");
  }
  Sandbox sandbox_;
};

TEST_F(OtherInputs, OtherSeedsAreOtherWeightsWhoseSpeedsAloneAreCompared) {
  run(yaml("seed: 2"), "seed");
  auto why = reasons(compare("seed", true));
  EXPECT_EQ(why.at("perplexity"), "other weights");
  EXPECT_EQ(why.at("nll_per_token"), "other weights");
  EXPECT_EQ(why.at("prefill_tokens_per_second"), "");
  EXPECT_EQ(why.at("weight_bytes"), "");
  const Outcome shown = sandbox_.run({"compare", "one", "seed", "--fail-above", "100%"});
  expect_mentions(shown.out, {"not the same: other weights of the same architecture", "not comparable: other weights"});
  // The report of each of them says what it is about.
  for (const char* file : {"one/report.md", "one/report.html"})
    expect_mentions(read_file(sandbox_ / file),
                    {"tiny.yaml", "LlamaForCausalLM", "125 k parameters", "Random weights", "a/sample.txt"});
}

TEST_F(OtherInputs, AnotherTextUnderTheSameNameIsSeen) {
  run(yaml("seed: 1", "b/sample.txt"), "text");
  auto why = reasons(compare("text", true));
  EXPECT_EQ(why.at("perplexity"), "other text");
  EXPECT_EQ(why.at("prefill_tokens_per_second"), "");
  run(yaml("seed: 1"), "same");
  why = reasons(compare("same", true));
  for (const auto& [metric, reason] : why) EXPECT_EQ(reason, "") << metric;
}

TEST_F(OtherInputs, OfAnotherArchitectureNothingIsCompared) {
  std::string model = read_file(kTinyModel);
  const std::string key = "num_hidden_layers:";
  const std::size_t at = model.find(key);
  ASSERT_NE(at, std::string::npos) << model;
  model.replace(at, model.find('\n', at) - at, key + " 3");
  sandbox_.write("three.yaml", model);
  run(yaml("seed: 1", "a/sample.txt", "three.yaml"), "deeper");
  const nlohmann::json found = compare("deeper", false);
  EXPECT_FALSE(found.at("compared").get<bool>());
  for (const auto& [metric, why] : reasons(found)) EXPECT_EQ(why, "other architecture") << metric;
  const Outcome shown = sandbox_.run({"compare", "one", "deeper"});
  EXPECT_EQ(shown.exit_code, 1) << shown;
  expect_mentions(shown.out, {"nothing can be compared: other architecture", "3 layers"});
}

TEST_F(OtherInputs, AReportTakesAnotherBaselineAndTheNewestRun) {
  Experiment two{.repeats = "2",
                 .arms = "[{name: a}, {name: b, cache: {window: {window: 8}}}, {name: c, cache: full}]",
                 .workloads = "[{speed: {batch: [q1s512]}}]",
                 .more = "compare_with: [b]"};
  sandbox_.write("two.yaml", two.yaml());
  expect_well(sandbox_.run({"run", "two.yaml", "-o", "results/study/now", "--threads", "1"}));
  const CsvTable asked(read_file(sandbox_ / "results/study/now/comparisons.csv"));
  EXPECT_EQ(asked.distinct("compared_with"), (std::vector<std::string>{"a", "b"}));
  expect_mentions(read_file(sandbox_ / "results/study/now/report.md"), {"### Against b"});
  const Outcome outcome = sandbox_.run({"report", "results/study", "--baseline", "b"});
  expect_well(outcome);
  expect_mentions(outcome.out, {"the newest run of results/study: results/study/now", "Ratios are to b"});
  const CsvTable summary = summary_of(sandbox_ / "results/study/now");
  for (const std::size_t row : summary.where({{"arm", "b"}, {"metric", "kv_bytes_allocated"}}))
    EXPECT_EQ(std::stod(summary.at(row, "baseline_ratio")), 1.0);
  for (const std::size_t row : summary.where({{"arm", "a"}, {"metric", "kv_bytes_allocated"}}))
    EXPECT_GT(std::stod(summary.at(row, "baseline_ratio")), 1.0);
  expect_refused(sandbox_, {"report", "results/study", "--baseline", "d"}, {"--baseline d", "a, b, c"});
  fs::create_directories(sandbox_ / "results/study/broken");
  sandbox_.write("results/study/broken/environment.json", "{");
  expect_well(sandbox_.run({"report", "--index", "results"}));
  expect_mentions(read_file(sandbox_ / "results/index.html"),
                  {"study/now", "LlamaForCausalLM", "a, b, c", "1 threads", "damaged", "study/broken"});
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

// What compare takes for the same and for another, where the names do not tell: a comment in the model's file, one
// value of a checkpoint, a baseline with other options. And the documented way to hold a run against a commit, as
// written. Other seeds, texts and architectures are in compare_test.cpp.
#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "e2e/checkpoints.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const std::string kText = "A model that was never trained reads a short text, and two caches remember it.\n";

const fs::path kWithTokenizer = fs::path(ATTNLAB_TEST_DATA_DIR) / "bughunt" / "ppl-bos";

class CompareIdentity : public testing::Test {
 protected:
  void SetUp() override {
    sandbox_.write("model.yaml", read_file(kTinyModel));
    sandbox_.write("text.txt", kText);
  }
  // Speed and perplexity of two arms, into the folder; more lines of YAML may change seed or baseline.
  void run(const std::string& folder, const std::string& more = "", const std::string& model = "model.yaml",
           const std::string& arms = "[{name: full}, {name: short, cache: {window: {window: 8}}}]") const {
    sandbox_.write("study.yaml", Experiment{.model = model,
                                            .repeats = "2",
                                            .arms = arms,
                                            .workloads = "[{speed: {batch: [q1s32]}}, "
                                                         "{perplexity: {text: text.txt, context: 24, prefill: 4}}]",
                                            .more = more}
                                     .yaml());
    expect_well(sandbox_.run({"run", "study.yaml", "-o", folder, "--threads", "2"}));
  }
  Outcome compare(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "compare");
    return sandbox_.run(arguments);
  }
  // Times may be a regression, of which the exit code tells; that something was compared is not up to them.
  nlohmann::json compared() const {
    const Outcome outcome = compare({"a", "b", "--format", "json", "--fail-above", "100%"});
    nlohmann::json found = nlohmann::json::parse(outcome.out);
    EXPECT_TRUE(found.at("compared").get<bool>()) << outcome;
    EXPECT_EQ(outcome.exit_code, found.at("regression").get<bool>() ? 1 : 0) << outcome;
    return found;
  }
  // The rows of a metric, of which there must be some.
  static std::vector<nlohmann::json> rows(const nlohmann::json& comparison, const std::string& metric) {
    std::vector<nlohmann::json> found;
    for (const nlohmann::json& row : comparison.at("rows"))
      if (row.at("metric") == metric) found.push_back(row);
    EXPECT_FALSE(found.empty()) << "no row of " << metric << " in " << comparison;
    return found;
  }
  static void expect_not_compared(const nlohmann::json& comparison, const std::string& metric,
                                  const std::string& reason) {
    for (const nlohmann::json& row : rows(comparison, metric)) {
      EXPECT_EQ(row.at("change"), "not comparable") << row;
      EXPECT_NE(row.value("why", "").find(reason), std::string::npos) << row;
      for (const char* key : {"ratio", "ratio_low", "ratio_high"}) EXPECT_FALSE(row.contains(key)) << row;
      EXPECT_FALSE(row.at("regression").get<bool>()) << row;
    }
  }
  static void expect_compared(const nlohmann::json& comparison, const std::string& metric) {
    for (const nlohmann::json& row : rows(comparison, metric)) {
      EXPECT_NE(row.at("change"), "not comparable") << row;
      EXPECT_TRUE(row.contains("ratio")) << row;
    }
  }

  Sandbox sandbox_;
};

TEST_F(CompareIdentity, OfTheSameModelAndTextEverythingIsComparedAndNothingIsSaidToDiffer) {
  run("a");
  sandbox_.write("model.yaml", "# the same keys, with a comment\n" + read_file(kTinyModel));
  run("b");
  const nlohmann::json found = compared();
  for (const char* metric : {"decode_tokens_per_second", "kv_bytes_allocated", "perplexity", "kl_to_baseline"})
    expect_compared(found, metric);
  for (const nlohmann::json& row : rows(found, "perplexity")) EXPECT_EQ(row.at("change"), "same") << row;
  EXPECT_TRUE(found.at("inputs").empty()) << found.at("inputs");
  EXPECT_EQ(compare({"a", "b", "--fail-above", "100%"}).out.find("not the same"), std::string::npos);
}

TEST_F(CompareIdentity, OneChangedValueOfACheckpointIsOtherWeights) {
  EditedCheckpoint checkpoint(kWithTokenizer);
  fs::copy(kWithTokenizer, sandbox_ / "model");
  checkpoint.save(sandbox_, "model");
  run("a", "", "model");
  checkpoint.set("model.embed_tokens.weight", 3, 0.25F);
  checkpoint.save(sandbox_, "model");  // under the same path
  run("b", "", "model");
  const nlohmann::json found = compared();
  expect_not_compared(found, "perplexity", "weights");
  expect_compared(found, "decode_tokens_per_second");
}

TEST_F(CompareIdentity, KlIsNotComparedWhereTheBaselineIsAnotherUnderTheSameName) {
  run("a", "baseline: base", "model.yaml", "[{name: base}, {name: short, cache: {window: {window: 8}}}]");
  run("b", "baseline: base", "model.yaml",
      "[{name: base, cache: {window: {window: 16}}}, {name: short, cache: {window: {window: 8}}}]");
  const nlohmann::json found = compared();
  for (const char* metric : {"kl_to_baseline", "same_top_token"}) expect_not_compared(found, metric, "arm");
}

TEST_F(CompareIdentity, WhereNoArmIsInBothNothingIsComparedAndTheExitCodeIsOne) {
  run("a", "", "model.yaml", "[{name: one}]");
  run("b", "", "model.yaml", "[{name: other}]");
  const Outcome outcome = compare({"a", "b"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  expect_mentions(outcome.out, {"nothing can be compared"});
}

// All lines of shell of the section on comparing in docs/reports.md.
std::vector<std::string> shell_lines_of_the_docs() {
  std::vector<std::string> found;
  bool is_inside = false;
  for (const std::string& line : lines_of(read_file(fs::path(ATTNLAB_SOURCE_DIR) / "docs" / "reports.md"))) {
    if (line.starts_with("## ")) is_inside = line == "## Compare two runs";
    if (is_inside && line.starts_with("    ")) found.push_back(line.substr(4));
  }
  return found;
}

TEST_F(CompareIdentity, TheDocumentedWayToHoldARunAgainstACommitWorksAsWritten) {
  if (std::system("git --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "git is not installed";
  const std::vector<std::string> lines = shell_lines_of_the_docs();
  ASSERT_TRUE(std::ranges::any_of(lines, [](const auto& line) { return line.find("git:") != line.npos; }));
  // A checkout with the tree's own .gitignore, and a study of seconds under the name of the documented one.
  sandbox_.write("model.yaml", read_file(kTinyModel));
  for (const std::string& line : lines)
    if (const std::size_t at = line.find("experiments/"); at != line.npos)
      sandbox_.write(line.substr(at, line.find(' ', at) - at),
                     Experiment{.model = "../model.yaml",
                                .workloads = "[{perplexity: {text: ../text.txt, context: 24, prefill: 4}}]"}
                         .yaml());
  sandbox_.write(".gitignore", read_file(fs::path(ATTNLAB_SOURCE_DIR) / ".gitignore"));
  fs::create_symlink(ATTNLAB_PROGRAM, sandbox_ / "attnlab");
  std::string script = "set -e\ncd '" + sandbox_.path().string() +
                       "'\nexport GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e\n"
                       "git init -q\ngit add .gitignore experiments\ngit commit -q -m start\n";
  for (const std::string& line : lines) script += line + "\n";
  sandbox_.write("walk.sh", script);
  const std::string log = (sandbox_ / "walk.log").string();
  const int status = std::system(("sh '" + (sandbox_ / "walk.sh").string() + "' > '" + log + "' 2>&1").c_str());
  EXPECT_EQ(status, 0) << script << read_file(log);
  expect_mentions(read_file(log), {"exactly the same"});
}

}  // namespace
}  // namespace attnlab::program_test

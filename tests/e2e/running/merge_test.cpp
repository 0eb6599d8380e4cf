// Folders of one study from several machines become one.
#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

class Merge : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& arms, const std::string& more = "") const {
    sandbox_.write("text.txt", std::string(600, 'x') + std::string(600, 'y'));
    sandbox_.write(file,
                   Experiment{.repeats = "3",
                              .arms = arms,
                              .workloads = "[{speed: {batch: [q8]}}, {perplexity: {text: text.txt, context: 64}}]",
                              .more = "warmup: 0\nthreads: 1\n" + more}
                       .yaml());
  }
  void run(const std::string& file, const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"run", file, "-o", out};
    words.insert(words.end(), more.begin(), more.end());
    expect_well(sandbox_.run(words));
  }
  static std::string n_of(const CsvTable& summary, const std::string& arm, const std::string& metric) {
    const auto rows = summary.where({{"arm", arm}, {"metric", metric}});
    return rows.size() == 1 ? summary.at(rows[0], "n") : "?";
  }
  Sandbox sandbox_;
};

TEST_F(Merge, PutsRoundsOneBehindTheOtherAndTakesWhatIsMeasuredOnceOnce) {
  write("study.yaml", "[{attention: gqa}, {attention: mqa}]");
  run("study.yaml", "one");
  run("study.yaml", "two");
  const Outcome outcome = sandbox_.run({"merge", "one", "two", "-o", "both"});
  expect_well(outcome);
  expect_mentions(outcome.out, {"14 trials of 2 folders; 2 were there twice"});
  const CsvTable summary = summary_of(sandbox_ / "both");
  EXPECT_EQ(n_of(summary, "mqa/rope/full", "prefill_tokens_per_second"), "6");
  EXPECT_EQ(n_of(summary, "mqa/rope/full", "perplexity"), "1");
  const CsvTable samples(read_file(sandbox_ / "both/samples.csv"));
  EXPECT_EQ(samples.where({{"arm", "gqa/rope/full"}, {"metric", "prefill_tokens_per_second"}}).size(), 6U);
  EXPECT_EQ(samples.distinct("round").size(), 6U);
  for (const char* column : {"median", "status"})
    EXPECT_EQ(
        summary.at(summary.where({{"arm", "mqa/rope/full"}, {"metric", "perplexity"}})[0], column),
        summary_of(sandbox_ / "one")
            .at(summary_of(sandbox_ / "one").where({{"arm", "mqa/rope/full"}, {"metric", "perplexity"}})[0], column));
  const auto environment = nlohmann::json::parse(read_file(sandbox_ / "both/environment.json"));
  ASSERT_EQ(environment.at("nodes").size(), 2U);
  EXPECT_EQ(environment.at("nodes")[0].at("rounds"), 3);
  EXPECT_EQ(environment.at("nodes")[1].at("round_numbers"), nlohmann::json({4, 5, 6}));
  EXPECT_NE(read_file(sandbox_ / "both/report.md").find("3 rounds (1 2 3), 8 trials"), std::string::npos);
}

TEST_F(Merge, CountsACopyOfAFolderOnce) {
  write("study.yaml", "[{attention: gqa}, {attention: mqa}]");
  run("study.yaml", "one");
  fs::copy(sandbox_ / "one", sandbox_ / "copy", fs::copy_options::recursive);
  expect_mentions(sandbox_.run({"merge", "one", "copy", "-o", "both"}).out,
                  {"8 trials of 2 folders; 8 were there twice"});
  EXPECT_EQ(n_of(summary_of(sandbox_ / "both"), "mqa/rope/full", "prefill_tokens_per_second"), "3");
}

TEST_F(Merge, PutsArmsTogether) {
  write("study.yaml", "[{attention: gqa}, {attention: mqa}, {attention: mha}]", "baseline: {attention: gqa}");
  run("study.yaml", "one", {"--only", "mqa*"});
  run("study.yaml", "two", {"--only", "mha*"});
  expect_well(sandbox_.run({"merge", "one", "two", "-o", "both"}));
  EXPECT_EQ(summary_of(sandbox_ / "both").distinct("arm").size(), 3U);
  for (const char* name : {"mqa/rope/full", "mha/rope/full"}) {
    const CsvTable summary = summary_of(sandbox_ / "both");
    const auto rows = summary.where({{"arm", name}, {"metric", "prefill_tokens_per_second"}});
    ASSERT_EQ(rows.size(), 1U) << name;
    EXPECT_NE(summary.at(rows[0], "baseline_ratio"), "") << "the baseline of its own rounds";
  }
}

TEST_F(Merge, RefusesWhatIsAnotherStudy) {
  write("study.yaml", "[{attention: gqa}, {name: small, attention: mqa}]");
  run("study.yaml", "one");
  write("other.yaml", "[{attention: gqa}, {name: small, cache: {window: {window: 8}}}]");
  sandbox_.write("other.yaml", [&] {
    std::string text = read_file(sandbox_ / "other.yaml");
    return text.replace(text.find("context: 64"), 11, "context: 64, prefill: 8");
  }());
  run("other.yaml", "two");
  const Outcome outcome = sandbox_.run({"merge", "one", "two", "-o", "both"});
  EXPECT_EQ(outcome.exit_code, 2);
  expect_mentions(outcome.err, {"two", "its arm small has other options"});
  EXPECT_FALSE(fs::exists(sandbox_ / "both"));
  run("study.yaml", "three", {"--threads", "2"});
  expect_mentions(sandbox_.run({"merge", "one", "three", "-o", "both"}).err, {"ran with 2 threads"});
  expect_mentions(sandbox_.run({"merge", "one", "gone", "-o", "both"}).err, {"gone", "environment.json"});
  expect_mentions(sandbox_.run({"merge", "one", "one", "-o", "two"}).err, {"two", "not empty"});
}

}  // namespace
}  // namespace attnlab::program_test

// What a budget comes to in a run: of each sequence, in every workload, and in words where it cannot be.
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const fs::path kMixed = fs::path(ATTNLAB_TEST_DATA_DIR) / "bughunt/mixed-batch-share";

double figure(const CsvTable& summary, const std::string& arm, const std::string& what, const std::string& metric) {
  const auto rows = summary.where({{"arm", arm}, {"case", what}, {"metric", metric}});
  EXPECT_EQ(rows.size(), 1U) << arm << " " << what << " " << metric;
  return rows.empty() ? -1 : std::stod(summary.at(rows[0], "median"));
}

// A row of a layer and kv head is 16 channels of key and value in f32; there are 2 layers and 2 kv heads.
TEST(Budgets, OfAShareAreOfEachSequenceInAMixedBatch) {
  const Sandbox sandbox;
  expect_well(sandbox.run({"run", (kMixed / "exp.yaml").string(), "-o", "out"}));
  const CsvTable summary = summary_of(sandbox / "out");
  constexpr double kRow = 2 * 2 * 2 * 16 * 4;
  EXPECT_EQ(figure(summary, "share", "q1s1k", "kv_bytes_nominal"), 256 * kRow);
  EXPECT_EQ(figure(summary, "share", "q1s4k", "kv_bytes_nominal"), 1024 * kRow);
  EXPECT_EQ(figure(summary, "share", "q1s1k_q1s4k", "kv_bytes_nominal"), (256 + 1024) * kRow);
  EXPECT_EQ((256 + 1024) * kRow, 655360);
}

TEST(Budgets, OfBytesHoldInEveryWorkload) {
  const Sandbox sandbox;
  std::string text;
  for (int i = 0; i < 60; ++i) text += "Line " + std::to_string(i) + " of a text. ";
  sandbox.write("text.txt", text);
  const std::string budget = "80KiB";
  sandbox.write("study.yaml",
                Experiment{.arms = "[{name: full, cache: full}, {name: tova, cache: {tova: {budget: " + budget +
                                   "}}}, {name: window, cache: {window: {window: " + budget +
                                   "}}}, {name: sink, cache: {sink: {sinks: 2, window: " + budget +
                                   "}}}, {name: int8, cache: {knorm: {budget: " + budget + ", storage: int8}}}]",
                           .workloads = "[{speed: {batch: [q1s512, q1s1k]}}, {perplexity: {text: text.txt, context: "
                                        "200, prefill: 150, max_windows: 1}}, {generate: {prompt: \"" +
                                        text.substr(0, 300) + "\", tokens: 8}}]"}
                    .yaml());
  const Outcome outcome = sandbox.run({"run", "study.yaml", "-o", "out"});
  expect_well(outcome);
  for (const std::string& table : {outcome.out, read_file(sandbox / "out" / "report.md")})
    EXPECT_NE(table.find("KV nominal"), std::string::npos) << table;
  const CsvTable summary = summary_of(sandbox / "out");
  int checked = 0;
  for (std::size_t row = 0; row < summary.rows(); ++row) {
    if (summary.at(row, "metric") != "kv_bytes_allocated" || summary.at(row, "arm") == "full") continue;
    ++checked;
    EXPECT_LE(std::stod(summary.at(row, "median")), 80 * 1024)
        << summary.at(row, "arm") << " " << summary.at(row, "workload") << " " << summary.at(row, "case");
    EXPECT_EQ(summary
                  .where({{"arm", summary.at(row, "arm")},
                          {"workload", summary.at(row, "workload")},
                          {"case", summary.at(row, "case")},
                          {"metric", "kv_bytes_nominal"}})
                  .size(),
              1U)
        << "nominal bytes stand beside the allocated ones";
  }
  EXPECT_EQ(checked, 4 * 4);
}

TEST(Budgets, ThatCouldBeMistakenOrHoldNothingAreRefused) {
  const Sandbox sandbox;
  const auto refused = [&](const std::string& cache, const std::vector<std::string>& parts) {
    sandbox.write("study.yaml",
                  Experiment{.arms = "[{cache: " + cache + "}]", .workloads = "[{speed: {batch: [q1s512]}}]"}.yaml());
    expect_refused(sandbox, {"validate", "study.yaml"}, parts);
  };
  refused("{tova: {budget: 1.0}}", {"study.yaml:4:", "budget", "write 1 or 100%"});
  refused("{tova: {budget: 12KB}}", {"study.yaml:4:", "budget", "unit"});
  refused("{tova: {budget: 1KiB}}", {"tova", "1KiB is less than", "give at least"});
  refused("{h2o: {heavy: 64KiB, recent: 4}}", {"study.yaml:4:", "heavy", "both be bytes"});
}

}  // namespace
}  // namespace attnlab::program_test

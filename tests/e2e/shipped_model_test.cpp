// The trained model that ships: what its card promises, on texts and answers that no training has seen.
#include <cmath>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const std::string kConfigs = std::string(ATTNLAB_SOURCE_DIR) + "/configs/";

class ShippedModel : public testing::Test {
 protected:
  CsvTable summary(const std::string& arms, const std::string& workloads) const {
    sandbox_.write("study.yaml",
                   Experiment{.model = kConfigs + "models/attnlab-2m", .arms = arms, .workloads = workloads}.yaml());
    expect_well(sandbox_.run({"run", "study.yaml", "-o", "out", "--threads", "2"}));
    return CsvTable(read_file(sandbox_ / "out/summary.csv"));
  }
  static double value(const CsvTable& table, const std::map<std::string, std::string>& of) {
    const std::vector<std::size_t> rows = table.where(of);
    EXPECT_EQ(rows.size(), 1U);
    return rows.empty() ? NAN : std::stod(table.at(rows.front(), "median"));
  }

  Sandbox sandbox_;
};

TEST_F(ShippedModel, AnswersWithAFullCacheAndForgetsWithASmallOne) {
  const CsvTable table = summary("[{name: full}, {name: window, cache: {window: {window: 32}}}]",
                                 "[{answers: {task: {needle: {length: 192}}, examples: 100}}, "
                                 "{answers: {task: {recall: {length: 64, pairs: 4, vocab: 256}}, examples: 100}}]");
  const std::vector<std::string> cases = table.distinct("case");
  ASSERT_EQ(cases.size(), 2U);
  for (const std::string& one : cases) {
    EXPECT_GT(value(table, {{"arm", "full"}, {"case", one}, {"metric", "answer_accuracy"}}), 0.95) << one;
    EXPECT_LT(value(table, {{"arm", "window"}, {"case", one}, {"metric", "answer_accuracy"}}), 0.9) << one;
  }
}

TEST_F(ShippedModel, ReadsEnglish) {
  const CsvTable table =
      summary("[{name: full}, {name: mean, attention: {gqa: {kv_heads: 2}}}]",
              "[{perplexity: {text: " + kConfigs + "text/moby-dick-end.txt, context: 512, max_windows: 16}}]");
  const double trained = value(table, {{"arm", "full"}, {"metric", "perplexity"}});
  EXPECT_LT(std::log2(trained), 2.0) << "bits per byte";
  EXPECT_GT(value(table, {{"arm", "mean"}, {"metric", "perplexity"}}), trained) << "heads that were never trained so";
}

}  // namespace
}  // namespace attnlab::program_test

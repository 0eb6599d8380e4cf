// One attention under two names, built twice: what does not depend on the clock must not differ by a bit. That no speed
// is marked is not asked here: one family in twenty is, by design.
#include <nlohmann/json.hpp>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const std::string kTwins = std::string(ATTNLAB_SOURCE_DIR) + "/experiments/aa/";

nlohmann::json windows_of(const fs::path& results, const std::string& arm) {
  for (const auto& entry : fs::directory_iterator(results / "trials")) {
    if (entry.path().extension() != ".json") continue;
    const nlohmann::json trial = nlohmann::json::parse(read_file(entry.path()));
    if (trial.at("arm") == arm && trial.at("workload") == "perplexity") return trial.at("details").at("windows");
  }
  ADD_FAILURE() << "no perplexity of " << arm;
  return {};
}

TEST(AA, OneAttentionUnderTwoNamesDiffersInNothingButTime) {
  const Sandbox sandbox;
  sandbox.write("text.txt", "The same text for both, and long enough for a few windows of thirty-two tokens each.\n");
  sandbox.write("aa.yaml", Experiment{.repeats = "2",
                                      .arms = "[{name: first, attention: twin_a}, {name: second, attention: twin_b}]",
                                      .workloads = "[{speed: {batch: [q16, q1s32]}}, "
                                                   "{perplexity: {text: text.txt, context: 32, prefill: 8}}]",
                                      .more = "plugins: [" + kTwins + "twin_a.cpp, " + kTwins + "twin_b.cpp]",
                                      .in_turns = true}
                               .yaml());
  expect_well(sandbox.run({"run", "aa.yaml", "-o", "out", "--threads", "2"}));

  const CsvTable summary = summary_of(sandbox / "out");
  const auto one = [&](const std::string& arm, const std::string& label, const std::string& metric) {
    const std::vector<std::size_t> rows = summary.where({{"arm", arm}, {"case", label}, {"metric", metric}});
    EXPECT_EQ(rows.size(), 1U) << arm << ", " << metric;
    return rows.empty() ? std::size_t{0} : rows.front();
  };
  const char* text = "text_context32_prefill8";
  for (const char* metric : {"nll_per_token", "perplexity", "kl_to_baseline", "same_top_token", "kv_bytes_mean",
                             "kv_bytes_peak", "rows_evicted"}) {
    const std::size_t first = one("first", text, metric), second = one("second", text, metric);
    EXPECT_EQ(summary.at(first, "median"), summary.at(second, "median")) << metric;
    const std::string ratio = summary.at(second, "baseline_ratio");
    EXPECT_TRUE(ratio.empty() || std::stod(ratio) == 1) << metric << ": " << ratio;
  }
  EXPECT_EQ(std::stod(summary.at(one("second", text, "kl_to_baseline"), "median")), 0.0);
  EXPECT_EQ(std::stod(summary.at(one("second", text, "same_top_token"), "median")), 1.0);
  for (const char* metric : {"kv_bytes_allocated", "kv_bytes_nominal", "weight_bytes"})
    EXPECT_EQ(std::stod(summary.at(one("second", "q1s32", metric), "baseline_ratio")), 1.0) << metric;
  EXPECT_EQ(windows_of(sandbox / "out", "first"), windows_of(sandbox / "out", "second"));
}

}  // namespace
}  // namespace attnlab::program_test

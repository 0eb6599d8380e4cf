// What the pages of a report stand on: texts that cannot become markup, fronts, axes and predictions.
#include <gtest/gtest.h>

#include <random>

#include "report/charts/svg_chart.h"
#include "report/pages/html.h"
#include "report/pages/markdown.h"
#include "report/pages/results_folder.h"
#include "report/read/format.h"
#include "report/summary/axes.h"
#include "report/summary/predictions.h"
#include "report/summary/tradeoffs.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

Sample perplexity(double value) {
  return {"perplexity", "", "lower", value, true};
}

Sample mean_bytes(double bytes) {
  return {"kv_bytes_mean", "bytes", "lower", bytes, true};
}

Results results_of(const StudyLayout& study, const std::vector<TrialResult>& trials) {
  Results results;
  results.trials = trials;
  results.layout = completed(study, trials);
  results.summary = summarise(results.layout, trials);
  return results;
}

TEST(ReportPages, DataOfAPageHoldsNothingThatEndsAScriptAndReadsBackTheSame) {
  const nlohmann::ordered_json json = {{"</script>", "<!-- & \u2028 \u2029 \" \\ ]]>"}, {"number", 1.5}};
  const std::string text = script_json(json);
  for (const char* letter : {"<", ">", "&", "\u2028", "\u2029"})
    EXPECT_EQ(text.find(letter), std::string::npos) << letter;
  EXPECT_EQ(nlohmann::ordered_json::parse(text), json);
}

TEST(ReportPages, TextBetweenTagsHasNoTagAndNoQuote) {
  EXPECT_EQ(html_text("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
}

int times(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// One list of colours and one of dashes: the page's are those that the drawings of report.md have.
TEST(ReportPages, HaveTheColoursAndLinesOfTheDrawings) {
  const std::vector<TrialResult> trials{trial(arm("a"), 0, {perplexity(8), mean_bytes(10)}),
                                        trial(arm("b"), 0, {perplexity(9), mean_bytes(5)})};
  StudyLayout layout;
  layout.name = "looks";
  Results results = results_of(layout, trials);
  results.environment = nlohmann::json::object();
  const std::string page = report_html(results);
  EXPECT_EQ(times(page, " --c0: #0b6cb8;"), 2) << "light, and in print";
  EXPECT_EQ(times(page, " --c11: #00838f;"), 2) << "light, and in print";
  EXPECT_EQ(times(page, " --c0: #58aeea;"), 2) << "where the system is dark, and where the reader chose so";
  EXPECT_EQ(times(page, "--c0:"), 4);
  EXPECT_EQ(times(page, R"({"colours":12,"dashes":["none","6 3","2 3","8 3 2 3"],"log_from":12.0})"), 1);
  const std::vector<StaticChart> charts = static_charts(results);
  ASSERT_FALSE(charts.empty());
  const std::string svg = svg_text(charts.front().drawing);
  for (const char* colour : {"#0b6cb8", "#d1560a"}) EXPECT_NE(svg.find(colour), std::string::npos) << colour;
}

TEST(ReportPages, TheFrontIsWhatNoOtherArmBeats) {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> few(1, 6);  // so that ties come up
  for (int study = 0; study < 50; ++study) {
    std::vector<TrialResult> trials;
    for (int i = 0; i < 8; ++i) {
      trials.push_back(trial(arm("a" + std::to_string(i)), 0, {perplexity(few(random)), mean_bytes(few(random))}));
      trials.back().workload = "perplexity";
      trials.back().case_name = "";
    }
    StudyLayout layout;
    layout.name = "front";
    const std::vector<Tradeoff> all = tradeoffs(results_of(layout, trials));
    ASSERT_EQ(all.size(), 1u);
    ASSERT_EQ(all.front().points.size(), 8u);
    for (const TradeoffPoint& point : all.front().points) {
      bool is_beaten = false;
      for (const TradeoffPoint& other : all.front().points)
        is_beaten |= other.cost <= point.cost && other.quality <= point.quality &&
                     (other.cost < point.cost || other.quality < point.quality);
      EXPECT_EQ(point.is_on_front, !is_beaten) << "study " << study << ", " << point.arm;
    }
  }
}

StudyLayout study_of(std::vector<ArmLayout> arms, std::vector<CaseLayout> cases) {
  StudyLayout layout;
  layout.name = "axes";
  layout.arms = std::move(arms);
  layout.cases = std::move(cases);
  return layout;
}

ArmLayout with_numbers(ArmLayout arm, std::map<std::string, double> numbers) {
  arm.numbers = std::move(numbers);
  return arm;
}

TEST(ReportPages, LinesAlongACaseNumberJoinCasesThatDifferInNothingElse) {
  const StudyLayout layout =
      study_of({arm("mha"), arm("gqa")}, {{"speed", "q1s1k", {{"context", 1024}, {"new_tokens", 1}}},
                                          {"speed", "q1s4k", {{"context", 4096}, {"new_tokens", 1}}},
                                          {"speed", "q512", {{"context", 512}, {"new_tokens", 512}}},
                                          {"speed", "q256", {{"context", 256}, {"new_tokens", 256}}}});
  const std::vector<Axis> all = axes(layout);
  const auto context = std::ranges::find(all, "context", &Axis::name);
  ASSERT_NE(context, all.end());
  ASSERT_EQ(context->lines.size(), 4u) << "two arms, prefill and decode";
  EXPECT_TRUE(context->is_of_cases);
  for (const AxisLine& line : context->lines) {
    ASSERT_EQ(line.points.size(), 2u) << line.label;
    EXPECT_LT(line.points[0].x, line.points[1].x) << line.label;
    EXPECT_EQ(line.points[0].arm, line.points[1].arm);
  }
}

TEST(ReportPages, LinesAlongAnOptionJoinArmsThatDifferInNothingElse) {
  const auto h2o = [](int budget, const char* storage) {
    const std::string cache = R"({"h2o":{"heavy":)" + std::to_string(budget) + R"(,"recent":)" +
                              std::to_string(budget) + R"(,"storage":")" + storage + "\"}}";
    return with_numbers(arm("gqa", cache), {{"cache.heavy", budget}, {"cache.recent", budget}, {"kv_heads", 4}});
  };
  const StudyLayout layout =
      study_of({with_numbers(arm("mha"), {{"kv_heads", 12}}), with_numbers(arm("mqa"), {{"kv_heads", 1}}),
                h2o(32, "f32"), h2o(64, "f32"), h2o(32, "int8"), h2o(64, "int8")},
               {{"speed", "q1s1k"}});
  const std::vector<Axis> all = axes(layout);
  const auto heavy = std::ranges::find(all, "cache.heavy", &Axis::name);
  ASSERT_NE(heavy, all.end());
  EXPECT_EQ(heavy->lines.size(), 2u) << "one for each storage, although heavy and recent vary together";
  const auto heads = std::ranges::find(all, "kv_heads", &Axis::name);
  ASSERT_NE(heads, all.end());
  ASSERT_EQ(heads->lines.size(), 1u) << "mha and mqa over the full cache";
  EXPECT_EQ(heads->lines.front().points.front().arm, "mqa/full");
  EXPECT_FALSE(heads->is_of_cases);
}

TEST(ReportPages, PredictedDecodeIsBandwidthOverTheBytesOfAToken) {
  TrialResult decode = trial(arm("mha"), 0,
                             {{"decode_tokens_per_second", "tokens/s", "higher", 200, false},
                              {"bytes_read_per_second", "bytes/s", "higher", 4e10, false}});
  decode.details["bytes_per_step"] = 4e8;  // two sequences a step
  Results results = results_of(layout({arm("mha")}), {decode});
  results.environment = {{"roof", {{"read_bytes_per_second", 5e10}}}, {"caches", {{"l3_bytes", 1 << 20}}}};
  const std::vector<Prediction> all = predictions(results);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_DOUBLE_EQ(all.front().predicted, 250);
  EXPECT_FALSE(all.front().is_in_cache);
  results.environment["caches"]["l3_bytes"] = 1 << 30;
  EXPECT_TRUE(predictions(results).front().is_in_cache);
  EXPECT_FALSE(all.front().is_compute_bound);
}

TEST(ReportPages, PredictedDecodeIsThatOfTheLargerOfTheTwoBounds) {
  TrialResult decode = trial(arm("mha"), 0,
                             {{"decode_tokens_per_second", "tokens/s", "higher", 200, false},
                              {"bytes_read_per_second", "bytes/s", "higher", 4e10, false}});
  decode.details["bytes_per_step"] = 4e8;       // 8 ms, for two tokens
  decode.details["operations_per_step"] = 2e9;  // 20 ms
  Results results = results_of(layout({arm("mha")}), {decode});
  results.environment = {{"roof", {{"read_bytes_per_second", 5e10}, {"fma_flops_per_second", 1e11}}}};
  const std::vector<Prediction> all = predictions(results);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_DOUBLE_EQ(all.front().predicted, 100);
  EXPECT_TRUE(all.front().is_compute_bound);
  EXPECT_NE(report_markdown(results).find("bound by arithmetic"), std::string::npos);
}

TEST(ReportPages, WhatHasNoVerdictIsNotHeldAgainstAPrediction) {
  TrialResult recall =
      trial(arm("mha"), 0,
            {{"recall_accuracy", "share", "higher", 0.4, true}, {"recall_predicted", "share", "none", 0.5, true}});
  EXPECT_EQ(predictions(results_of(layout({arm("mha")}), {recall})).size(), 1u);
  recall.details["no_verdict"] = "no token read the cache";
  EXPECT_TRUE(predictions(results_of(layout({arm("mha")}), {recall})).empty());
}

TEST(ReportPages, AStaticChartHasAMarkForEveryArmAndOnlyEscapedText) {
  std::vector<TrialResult> trials;
  for (const char* name : {"<script>", "b&b", "c"})
    for (int round = 0; round < 7; ++round) trials.push_back(trial(arm(name), round, {prefill(100 + trials.size())}));
  for (TrialResult& one : trials) one.id = "t" + std::to_string(&one - trials.data());
  StudyLayout layout;
  layout.name = "marks";
  const std::vector<StaticChart> charts = static_charts(results_of(layout, trials));
  ASSERT_EQ(charts.size(), 1u);
  const std::string svg = svg_text(charts.front().drawing);
  std::size_t circles = 0;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1)) ++circles;
  EXPECT_EQ(circles, 3u);
  EXPECT_EQ(svg.find("<script>"), std::string::npos);
  EXPECT_NE(svg.find("&lt;script&gt;/full"), std::string::npos);
  EXPECT_EQ(charts.front().name, "speed-q512-prefill_tokens_per_second");
}

}  // namespace
}  // namespace attnlab::report::test

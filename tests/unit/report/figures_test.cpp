// Charts as files: labels that tell arms apart, curves over bytes, ticks, SVG, PDF, and the table in LaTeX.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include <attnlab/error.h>

#include "report/charts/axis_scale.h"
#include "report/charts/drawing.h"
#include "report/charts/figures.h"
#include "report/charts/latex_table.h"
#include "report/charts/svg_chart.h"
#include "report/pages/results_folder.h"
#include "report/summary/arm_series.h"
#include "report/summary/tradeoffs.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

using Texts = std::vector<std::string>;

ArmLayout policy(const std::string& id, const nlohmann::ordered_json& options, const std::string& storage = "f32") {
  nlohmann::ordered_json own = options;
  own["storage"] = storage;
  ArmLayout arm{
      .name = "gqa/rope/" + id + options.dump() + storage, .attention = "gqa", .position = "rope", .cache = id};
  arm.resolved = {{"attention", {{"gqa", {{"kv_heads", 4}}}}}, {"position", {{"rope", {{"theta", 1e4}}}}}};
  arm.resolved["cache"][id] = own;
  return arm;
}

// Budgets of other names, a storage, and options that stay the same.
StudyLayout policies() {
  return layout(
      {policy("full", {}), policy("h2o", {{"heavy", "8"}, {"recent", "24"}}),
       policy("h2o", {{"heavy", "16"}, {"recent", "48"}}), policy("snapkv", {{"budget", "32"}, {"window", 8}}),
       policy("snapkv", {{"budget", "64"}, {"window", 8}}), policy("snapkv", {{"budget", "64"}, {"window", 8}}, "int8"),
       policy("snapkv", {{"budget", "128"}, {"window", 8}}, "int8")});
}

Texts labels_of(const StudyLayout& study) {
  Texts labels;
  for (const ArmSeries& one : arm_series(study)) labels.push_back(one.label);
  return labels;
}

TEST(ArmLabels, SayWhatDiffersFirstAndNothingElse) {
  EXPECT_EQ(labels_of(policies()),
            (Texts{"full", "heavy=8,recent=24 · h2o", "heavy=16,recent=48 · h2o", "budget=32 · snapkv · f32",
                   "budget=64 · snapkv · f32", "budget=64 · snapkv · int8", "budget=128 · snapkv · int8"}));
}

TEST(ArmLabels, KeepTheNamesThatAnExperimentGives) {
  StudyLayout study = policies();
  study.arms[1].name = "heavy hitters";
  EXPECT_EQ(labels_of(study)[1], "heavy hitters");
}

TEST(ArmLabels, AreUniqueEvenWhereNothingIsResolved) {
  StudyLayout study = policies();
  for (ArmLayout& arm : study.arms) arm.resolved = nullptr;
  const Texts labels = labels_of(study);
  EXPECT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), labels.size());
}

TEST(ArmSeries, JoinWhatDiffersInNumbersWhateverTheOptionIsCalled) {
  std::map<std::string, Texts> series;
  for (const ArmSeries& one : arm_series(policies())) series[one.series].push_back(one.point);
  EXPECT_EQ(series, (std::map<std::string, Texts>{{"full", {""}},
                                                  {"h2o", {"8,24", "16,48"}},
                                                  {"snapkv · f32", {"32", "64"}},
                                                  {"snapkv · int8", {"64", "128"}}}));
}

TEST(ArmSeries, AreColouredByPolicyAndDashedWithinIt) {
  const std::vector<ArmSeries> all = arm_series(policies());
  EXPECT_EQ(all[1].colour, all[2].colour);
  EXPECT_NE(all[1].colour, all[3].colour);
  EXPECT_EQ(all[3].colour, all[5].colour);
  EXPECT_EQ(all[3].line, all[4].line);
  EXPECT_NE(all[3].line, all[5].line);
}

TEST(ArmSeries, MoveAlongOneThingAndSplitByOthers) {
  std::vector<ArmLayout> arms;
  for (const char* budget : {"32", "64", "25%"})
    for (const int window : {8, 16}) arms.push_back(policy("snapkv", {{"budget", budget}, {"window", window}}));
  std::map<std::string, Texts> series;
  for (const ArmSeries& one : arm_series(layout(arms))) series[one.series].push_back(one.point);
  EXPECT_EQ(series,
            (std::map<std::string, Texts>{{"window=8", {"32", "64", "25%"}}, {"window=16", {"32", "64", "25%"}}}));
}

Sample perplexity(double value) {
  return {"perplexity", "", "lower", value, true};
}

// Perplexity and its own bytes of every arm.
std::filesystem::path write_study(const Folder& folder, const StudyLayout& study) {
  write_plainly(folder / "environment.json", nlohmann::json{{"study", study}}.dump());
  std::filesystem::create_directories(folder / "trials");
  int number = 0;
  for (const ArmLayout& one : study.arms) {
    TrialResult result =
        trial(one, 0, {perplexity(20.0 - number), {"kv_bytes_mean", "bytes", "lower", 4096.0 * (9 - number), true}});
    result.id = std::to_string(number++);
    result.workload = "perplexity";
    result.case_name = "";
    result.details["windows"] = {{"tokens", {7, 9}}, {"nll", {20.5, 30.25}}};
    write_trial(folder / "trials", result);
  }
  return folder.path();
}

StudyLayout of_text() {
  StudyLayout study = policies();
  study.cases = {{"perplexity", ""}};
  study.trials = {};
  return study;
}

TEST(Tradeoffs, HaveACurveForEverySeriesOverBytes) {
  const Folder folder;
  const std::vector<Tradeoff> all = tradeoffs(read_results(write_study(folder, of_text())));
  ASSERT_EQ(all.size(), 1U);
  std::map<std::string, std::vector<std::size_t>> curves;
  for (const Curve& curve : all[0].curves) curves[curve.series] = curve.points;
  EXPECT_EQ(curves, (std::map<std::string, std::vector<std::size_t>>{
                        {"h2o", {2, 1}}, {"snapkv · f32", {4, 3}}, {"snapkv · int8", {6, 5}}}));  // by bytes
}

TEST(Ticks, ThatLieCloseTogetherAreToldApart) {
  for (const auto& [low, high, unit] : {std::tuple{20.031, 20.034, ""},
                                        {1e6, 1.0004e6, "tokens/s"},
                                        {0.98761, 0.98764, "share"},
                                        {0.0100001, 0.0100004, "s"},
                                        {1048576.0, 1048700.0, "bytes"}}) {
    const std::vector<double> ticks = AxisScale({low, high}, 0, 100).ticks(5, std::string(unit) == "bytes");
    ASSERT_GT(ticks.size(), 2U) << unit;
    const Texts texts = tick_texts(ticks, unit);
    EXPECT_EQ(std::set<std::string>(texts.begin(), texts.end()).size(), ticks.size()) << texts.front();
  }
  EXPECT_EQ(tick_texts({20.031, 20.032}, ""), (Texts{"20.031", "20.032"}));
  EXPECT_EQ(tick_texts({64, 128}, "bytes"), (Texts{"64 B", "128 B"}));
}

TEST(Drawings, LeaveNothingOfANameOut) {
  const std::string name = "gqa/rope/snapkv(budget=64,window=16)+window@0-3";
  std::string joined;
  for (const std::string& line : wrapped(name, 80)) {
    EXPECT_LE(line.size(), 12U);
    joined += line;
  }
  EXPECT_EQ(joined, name);
}

TEST(Drawings, AreTheSameSvgAndPdfEveryTime) {
  Drawing drawing(100, 50, "a <title>", 0.5);
  drawing.text(10, 20, "x < y & \"z\" · µ", Anchor::middle, {.is_bold = true});
  drawing.outline({{1, 2}, {3, 4}, {5, 2}}, true,
                  {.stroke = "#0b6cb8", .dashes = {2, 3}, .fill = "#ffffff", .opacity = 0.5});
  drawing.circle(5, 5, 2, {.fill = "#0b6cb8"});
  const std::string svg = svg_text(drawing);
  EXPECT_NE(svg.find("x &lt; y &amp; &quot;z&quot; · µ</text>"), std::string::npos) << svg;
  EXPECT_NE(svg.find("width=\"50.00pt\" height=\"25.00pt\" viewBox=\"0 0 100 50\""), std::string::npos) << svg;
  EXPECT_NE(svg.find("stroke-dasharray=\"2 3\""), std::string::npos) << svg;
  const std::string pdf = pdf_text(drawing);
  EXPECT_TRUE(pdf.starts_with("%PDF-1."));
  EXPECT_NE(pdf.find("/MediaBox [ 0 0 50 25 ]"), std::string::npos);
  EXPECT_NE(pdf.find("/FontFile"), std::string::npos) << "letters are not embedded";
  EXPECT_EQ(pdf, pdf_text(drawing));
}

TEST(Figures, AreEveryChartAsSvgAndPdfAsWideAsAColumn) {
  const Folder folder, out;
  const Results results = read_results(write_study(folder, of_text()));
  std::set<std::string> names;
  for (const auto& file : write_figures(results, out / "new/paper")) {
    EXPECT_GT(std::filesystem::file_size(file), 100U) << file;
    names.insert(file.filename().string());
  }
  const std::vector<StaticChart> charts = static_charts(results);
  ASSERT_GE(charts.size(), 3U);
  for (const StaticChart& chart : charts) {
    EXPECT_TRUE(names.contains(chart.name + ".svg") && names.contains(chart.name + ".pdf")) << chart.name;
    EXPECT_NE(read_plainly(out / "new/paper" / (chart.name + ".svg")).find("width=\"243.12pt\""), std::string::npos);
  }
  EXPECT_EQ(names.size(), 2 * charts.size() + 2);
  const std::string curves = read_plainly(out / "new/paper/perplexity-perplexity-against-perplexity-kv_bytes_mean.svg");
  for (const char* text : {">full<", ">h2o, by heavy,recent<", ">snapkv · f32, by budget<", ">8,24<"})
    EXPECT_NE(curves.find(text), std::string::npos) << text;
}

TEST(Figures, ThatAWrittenReportDoesNotHaveAreAnError) {
  const Folder folder, out;
  StudyLayout study = layout({arm("mha")});
  write_plainly(folder / "environment.json", nlohmann::json{{"study", study}}.dump());
  std::filesystem::create_directories(folder / "trials");
  EXPECT_THROW((void)write_figures(read_results(folder.path()), out / "paper"), Error);
  EXPECT_FALSE(std::filesystem::exists(out / "paper"));
}

// Filled are the baseline and what differs from it; what has no verdict is neither.
TEST(Figures, MarkWhatHasNoVerdictHollow) {
  const Folder folder;
  Results results = read_results(write_study(folder, of_text()));
  const auto hollow_marks = [&] {
    results.summary = summarise(results.layout, results.trials);
    const std::vector<StaticChart> charts = static_charts(results, column_style());
    const auto chart = std::ranges::find(charts, "perplexity-kv_bytes_mean", &StaticChart::name);
    if (chart == charts.end()) return std::ptrdiff_t{-1};
    return std::ranges::count_if(chart->drawing.marks(), [](const Drawing::Mark& mark) {
      const auto* circle = std::get_if<Circle>(&mark);
      const auto* outline = std::get_if<Outline>(&mark);
      return (circle != nullptr && circle->ink.fill == kPaper) || (outline != nullptr && outline->ink.fill == kPaper);
    });
  };
  const auto others = static_cast<std::ptrdiff_t>(results.layout.arms.size()) - 1;
  EXPECT_EQ(hollow_marks(), others) << "exact figures have no mark";
  results.trials.back().details["no_verdict"] = "no token read the cache";
  EXPECT_EQ(hollow_marks(), others);
  for (TrialResult& trial : results.trials) trial.details["no_verdict"] = "no token read the cache";
  EXPECT_EQ(hollow_marks(), others + 1) << "the baseline has none either";
}

TEST(Latex, HasNoCommandThatTheTextDidNotMean) {
  EXPECT_EQ(latex_text("a_b & 50% of {x}$ #1 ~ ^ \\input{y} <z> \"q\" --"),
            "a\\_b \\& 50\\% of \\{x\\}\\$ \\#1 \\textasciitilde{} \\textasciicircum{} \\textbackslash{}input\\{y\\} "
            "\\textless{}z\\textgreater{} \\textquotedbl{}q\\textquotedbl{} {-}{-}");
  EXPECT_EQ(latex_text("1.31 × µs ↑ é 中\n"), "1.31 $\\times$ $\\mu$s $\\uparrow$ é [U+4E2D] ");
}

TEST(Latex, TableHasEveryArmWithItsFiguresUnitsAndMarks) {
  const Folder folder;
  StudyLayout study = of_text();
  study.arms[3].name = "a_b & 100%";
  const std::string table = latex_table(read_results(write_study(folder, study)));
  EXPECT_NE(table.find("arm & perplexity $\\downarrow$ & KV mean $\\downarrow$ \\\\"), std::string::npos) << table;
  EXPECT_NE(table.find("a\\_b \\& 100\\% & 17 & 24.0 KiB \\\\"), std::string::npos) << table;
  EXPECT_NE(table.find("full & 20 & 36.0 KiB \\\\ % the baseline"), std::string::npos) << table;
  EXPECT_NE(table.find("\\textbf{12.0 KiB}"), std::string::npos) << table;
  for (const char* word : {"\\toprule", "\\midrule", "\\bottomrule", "\\caption{", "\\label{tab:attnlab-1}"})
    EXPECT_NE(table.find(word), std::string::npos) << word;
  // Every brace has its other half, and every row as many cells as the head.
  EXPECT_EQ(std::ranges::count(table, '{'), std::ranges::count(table, '}'));
  EXPECT_EQ(std::ranges::count(table, '&') - 1, 2 * static_cast<std::ptrdiff_t>(study.arms.size() + 1));
}

TEST(Latex, TableDistinguishesNothingThatHasNoVerdictOrEvictedNothing) {
  const Folder folder;
  const StudyLayout study = of_text();
  Results results = read_results(write_study(folder, study));
  ASSERT_EQ(latex_table(results).find("compared with none"), std::string::npos);
  const std::string last = study.arms.back().name;  // of all the fewest bytes
  for (TrialResult& trial : results.trials)
    if (trial.arm == last) trial.details["no_verdict"] = "no token read the cache";
  results.summary = summarise(results.layout, results.trials);
  std::string table = latex_table(results);
  EXPECT_NE(table.find("12.0 KiB$^{\\circ}$"), std::string::npos) << table;
  EXPECT_NE(table.find("$^{\\circ}$ compared with none: no token read the cache."), std::string::npos) << table;
  EXPECT_EQ(table.find("\\textbf{12.0 KiB}"), std::string::npos) << table;
  EXPECT_NE(table.find("\\textbf{16.0 KiB}"), std::string::npos) << table;
  results.trials.front().details["no_verdict"] = "rows were rounded";
  results.summary = summarise(results.layout, results.trials);
  EXPECT_NE(latex_table(results).find("compared with none: rows were rounded; no token read the cache."),
            std::string::npos);
  results.trials.front().details.erase("no_verdict");
  for (TrialResult& trial : results.trials)
    if (trial.arm == last) {
      trial.details.erase("no_verdict");
      trial.details["evicted_nothing"] = true;
    }
  results.summary = summarise(results.layout, results.trials);
  table = latex_table(results);
  EXPECT_EQ(table.find("\\textbf{12.0 KiB}"), std::string::npos) << table;
  EXPECT_EQ(table.find("circ"), std::string::npos) << table;
}

TEST(Samples, HaveTheExamplesOfRecallInRowsOfTheirOwn) {
  TrialResult recall = trial(arm("mha"), 0, {{"recall_accuracy", "share", "higher", 0.5, true}});
  recall.details["examples"] = {{"right", {2, 6}}, {"queries", {8, 8}}};
  const std::string csv = samples_csv(completed(layout({arm("mha")}), {recall}), {recall});
  EXPECT_NE(csv.find(",example_right,,higher,2,ok,0,8\n"), std::string::npos) << csv;
  EXPECT_NE(csv.find(",example_right,,higher,6,ok,1,8\n"), std::string::npos) << csv;
}

TEST(Samples, HaveTheWindowsOfATextInRowsOfTheirOwn) {
  const Folder folder;
  const Results results = read_results(write_study(folder, of_text()));
  const std::string csv = samples_csv(results.layout, results.trials);
  EXPECT_TRUE(
      csv.starts_with("arm,attention,position,cache,workload,case,round,seed,metric,unit,better,value,status,"
                      "window,tokens\n"));
  EXPECT_NE(csv.find(",perplexity,,0,0,perplexity,,lower,20,ok,,\n"), std::string::npos) << csv.substr(0, 600);
  EXPECT_NE(csv.find(",perplexity,,0,0,window_nll,nats,lower,20.5,ok,0,7\n"), std::string::npos) << csv.substr(0, 600);
  EXPECT_NE(csv.find(",perplexity,,0,0,window_nll,nats,lower,30.25,ok,1,9\n"), std::string::npos);
}

}  // namespace
}  // namespace attnlab::report::test

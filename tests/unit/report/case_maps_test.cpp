// Cases that two numbers tell apart: which of them make a table, what stands where, and the chart that is drawn of it.
#include <gtest/gtest.h>

#include <algorithm>

#include "report/charts/svg_chart.h"
#include "report/summary/case_maps.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

CaseLayout needle(double length, double depth, const std::string& kind = "needle") {
  CaseLayout entry{"answers",
                   kind + " " + std::to_string(length) + " " + std::to_string(depth),
                   {{"length", length}, {"depth", depth}}};
  entry.data["kind"] = kind;
  return entry;
}

StudyLayout study_of(std::vector<CaseLayout> cases) {
  StudyLayout study = layout({arm("mha"), arm("gqa")});
  study.cases = std::move(cases);
  return study;
}

TEST(CaseMaps, HaveTheLargerNumbersAcrossAndEveryCaseInItsCell) {
  std::vector<CaseLayout> cases;
  for (const double depth : {1.0, 0.0, 0.5})
    for (const double length : {512.0, 128.0}) cases.push_back(needle(length, depth));
  const std::vector<CaseMap> maps = case_maps(study_of(cases));
  ASSERT_EQ(maps.size(), 1U);
  const CaseMap& map = maps.front();
  EXPECT_EQ(map.across, "length");
  EXPECT_EQ(map.down, "depth");
  EXPECT_EQ(map.xs, (std::vector<double>{128, 512}));
  EXPECT_EQ(map.ys, (std::vector<double>{0, 0.5, 1}));
  EXPECT_EQ(map.others, "");
  for (std::size_t y = 0; y < 3; ++y)
    for (std::size_t x = 0; x < 2; ++x) EXPECT_EQ(map.at(y, x), needle(map.xs[x], map.ys[y]).case_name);
}

TEST(CaseMaps, AreApartWhereSomethingElseTellsCasesApartAndSayIt) {
  std::vector<CaseLayout> cases;
  for (const char* kind : {"needle", "needle, query before"})
    for (const double depth : {0.0, 1.0})
      for (const double length : {128.0, 512.0}) cases.push_back(needle(length, depth, kind));
  const std::vector<CaseMap> maps = case_maps(study_of(cases));
  ASSERT_EQ(maps.size(), 2U);
  EXPECT_EQ(maps[0].others, "needle");
  EXPECT_EQ(maps[1].others, "needle, query before");
}

TEST(CaseMaps, LeaveACellEmptyThatHasNoCaseAndMakeNoneOfAFewCases) {
  std::vector<CaseLayout> cases{needle(128, 0), needle(512, 0), needle(512, 1)};
  const std::vector<CaseMap> maps = case_maps(study_of(cases));
  ASSERT_EQ(maps.size(), 1U);
  EXPECT_EQ(maps.front().at(1, 0), "");
  // Two numbers that vary together, and one that does not vary.
  EXPECT_TRUE(case_maps(study_of({needle(128, 0), needle(512, 1)})).empty());
  EXPECT_TRUE(case_maps(study_of({needle(128, 0), needle(512, 0)})).empty());
  EXPECT_TRUE(case_maps(study_of({})).empty());
}

TEST(CaseMaps, AreDrawnWithEveryFigure) {
  std::vector<CaseLayout> cases;
  for (const double depth : {0.0, 1.0})
    for (const double length : {128.0, 512.0}) cases.push_back(needle(length, depth));
  StudyLayout study = study_of(cases);
  study.baseline = study.arms.front().name;
  std::vector<TrialResult> trials;
  double value = 0.11;
  for (const ArmLayout& of : study.arms)
    for (const CaseLayout& entry : cases) {
      TrialResult one = trial(of, 0, {{"answer_accuracy", "share", "higher", value, true}});
      one.workload = entry.workload;
      one.case_name = entry.case_name;
      trials.push_back(std::move(one));
      value += 0.1;
    }
  Results results;
  results.trials = trials;
  results.layout = completed(study, trials);
  results.summary = summarise(results.layout, trials);
  const std::vector<StaticChart> charts = static_charts(results);
  const auto map = std::ranges::find(charts, "answers-answer_accuracy-by-length-and-depth",
                                     [](const auto& one) { return one.name; });
  ASSERT_NE(map, charts.end());
  const std::string svg = svg_text(map->drawing);
  for (const char* figure : {"11.0 %", "21.0 %", "31.0 %", "41.0 %", "51.0 %", "61.0 %", "71.0 %", "81.0 %"})
    EXPECT_NE(svg.find(figure), std::string::npos) << figure;
  EXPECT_NE(svg.find("across: length, down: depth"), std::string::npos);
}

}  // namespace
}  // namespace attnlab::report::test

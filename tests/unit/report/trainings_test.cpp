// Trainings of a results folder, under way or at their end: what is read of damaged and half-written files, how curves
// are thinned, what a search says, and that every page shows it.
#include "report/summary/trainings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include <attnlab/error.h>

#include "report/charts/figures.h"
#include "report/charts/svg_chart.h"
#include "report/pages/index_page.h"
#include "report/pages/markdown.h"
#include "report/pages/report_json.h"
#include "report/pages/results_folder.h"
#include "report/pages/terminal_table.h"
#include "report/pages/verdict_words.h"
#include "report/summary/tradeoffs.h"
#include "unit/training_samples.h"

namespace attnlab::report::test {
namespace {

namespace fs = std::filesystem;

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << "\n--- is not in ---\n" << text;
}

std::string message_of(const auto& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainingCurves, LeaveOutALastLineThatIsNotWholeYet) {
  const Folder folder;
  const fs::path file = folder / "a.csv";
  EXPECT_TRUE(read_curve(file).empty()) << "not begun";
  const std::string header = "step,loss,gradient_norm,learning_rate,tokens,seconds\n";
  const std::string rows = "1,4.5,1,0.1,64,0.25\n2,nan,1,0.1,128,0.5\n";
  const std::string whole = header + rows;
  for (std::size_t end = 0; end <= whole.size(); ++end) {
    write_plainly(file, whole.substr(0, end));
    const std::vector<CurvePoint> points = read_curve(file);
    const std::string read = whole.substr(0, end);
    const auto lines = static_cast<std::size_t>(std::ranges::count(read, '\n'));
    ASSERT_EQ(points.size(), lines == 0 ? 0 : lines - 1) << end << " bytes";
  }
  const std::vector<CurvePoint> points = read_curve(file);
  EXPECT_EQ(points[0], (CurvePoint{1, 4.5}));
  EXPECT_TRUE(std::isnan(points[1].loss));
  EXPECT_EQ(read_column(file, kSecondsOfCurve), (std::vector<double>{0.25, 0.5}));
  write_plainly(file, "step,loss,accuracy\n5,1.5,\n10,1.25,0.5\n15,1\n");
  const std::vector<double> accuracies = read_column(file, kAccuracyOfHeldOut);
  ASSERT_EQ(accuracies.size(), 3u);
  EXPECT_TRUE(std::isnan(accuracies[0]));
  EXPECT_EQ(accuracies[1], 0.5);
  EXPECT_TRUE(std::isnan(accuracies[2]));
}

TEST(TrainingCurves, NameTheLineThatIsNoRow) {
  const Folder folder;
  const fs::path file = folder / "a.csv";
  for (const char* row : {"x,4.5", "1;4.5", "1,", "1,4.5x,3", ""}) {
    write_plainly(file, fmt::format("step,loss\n1,2.5\n{}\n3,2\n", row));
    const std::string message = message_of([&] { std::ignore = read_curve(file); });
    expect_has(message, file.string() + ":3: is no row of a curve");
  }
}

TEST(TrainingCurves, AreMeansOfEqualRangesOfSteps) {
  std::vector<CurvePoint> curve;
  for (int step = 1; step <= 11; ++step) curve.push_back({step, step * 1.0});
  EXPECT_EQ(thinned(curve, 1), curve);
  EXPECT_EQ(thinned(curve, 4), (std::vector<CurvePoint>{{2, 2.5}, {6, 6.5}, {10, 10}})) << "the last of three steps";
  EXPECT_EQ(thinned({{3, 1}, {4, 2}, {5, 7}}, 4), (std::vector<CurvePoint>{{3, 1.5}, {5, 7}}))
      << "ranges from step 1 on";
  curve[5].loss = std::nan("");
  const std::vector<CurvePoint> broken = thinned(curve, 4);
  EXPECT_EQ(broken[0].loss, 2.5);
  EXPECT_TRUE(std::isnan(broken[1].loss)) << "a loss that is no number is not averaged away";
  EXPECT_TRUE(thinned({}, 4).empty());
}

TEST(Trainings, AreReadAsFarAsTheyAre) {
  const Folder folder;
  write_trained(folder.path(), 3);
  const auto status_of = [&](const std::string& id) {
    const Results results = read_results(folder.path());
    const auto found = std::ranges::find(results.trainings.all, id, [](const Training& one) { return one.layout.id; });
    return found == results.trainings.all.end() ? "" : found->status();
  };
  const std::string id = training_id("linear", 1, 3);
  EXPECT_EQ(status_of(id), "ok");
  EXPECT_EQ(status_of(training_id("mha", 2, 2)), "diverged");
  fs::remove(folder / "training" / (id + ".json"));
  EXPECT_EQ(status_of(id), "running");
  write_plainly(folder / "training" / (id + ".csv"), "step,lo");
  EXPECT_EQ(status_of(id), "waiting") << "half a header";
  fs::remove(folder / "training" / (id + ".csv"));
  EXPECT_EQ(status_of(id), "waiting");
  for (const char* damaged : {"{\"id\": \"x\"", "[]", "{\"id\": 3}"}) {
    write_plainly(folder / "training" / (id + ".json"), damaged);
    expect_has(message_of([&] { std::ignore = read_results(folder.path()); }),
               (folder / "training" / (id + ".json")).string() + ": is ");
  }
}

TEST(Trainings, OfASearchShowTheMeanOverSeedsWhatWasKeptAndWhatDiverged) {
  const Folder folder;
  write_trained(folder.path(), 3);
  const Results results = read_results(folder.path());
  EXPECT_EQ(results.trainings.steps_a_point, 4) << "1000 steps, at most 300 points";
  const std::vector<RateSearch> searches = rate_searches(results.trainings);
  ASSERT_EQ(searches.size(), 2u);
  EXPECT_EQ(searches[0].arms, (std::vector<std::string>{"mha/full", "mha/short"}));
  for (const RateSearch& search : searches) {
    const std::string attention = search.arms[0].substr(0, search.arms[0].find('/'));
    ASSERT_EQ(search.rates.size(), 3u);
    for (int rate = 0; rate < 3; ++rate) {
      const TriedRate& tried = search.rates[static_cast<std::size_t>(rate)];
      double sum = 0;
      int seeds = 0;
      for (int seed = 1; seed <= 3; ++seed) {
        if (rate == 2 && seed == 2) continue;  // diverged
        sum += validation_loss(attention, rate, seed);
        ++seeds;
      }
      EXPECT_EQ(tried.learning_rate, kRates[rate]);
      ASSERT_TRUE(tried.validation_loss);
      EXPECT_NEAR(*tried.validation_loss, sum / seeds, 1e-12);
      EXPECT_EQ(tried.ended_well, seeds);
      EXPECT_EQ(tried.diverged, 3 - seeds);
      EXPECT_EQ(tried.failed, 0);
      EXPECT_EQ(tried.is_kept, rate == 1);
    }
  }
  const std::vector<TrainingGroup> shown = shown_groups(results.trainings);
  ASSERT_EQ(shown.size(), 2u) << "the kept rate of each";
  for (const TrainingGroup& group : shown) EXPECT_EQ(group.learning_rate, kRates[1]);
}

TEST(Trainings, HaveAMedianAsFarAsEverySeedGoes) {
  const Folder folder;
  write_trained(folder.path(), 3);
  write_curve(folder.path(), training_id("mha", 1, 3), curve_text(399, 1.5), 1.5);
  const Results results = read_results(folder.path());
  const TrainingGroup group = shown_groups(results.trainings).front();
  ASSERT_EQ(group.seeds.size(), 3u);
  const std::vector<CurvePoint> median = median_curve(group);
  ASSERT_EQ(median.size(), 100u) << "399 steps, four a point";
  std::vector<double> last;
  for (const Training* seed : group.seeds) last.push_back(seed->curve[99].loss);
  std::ranges::sort(last);
  EXPECT_EQ(median.back().loss, last[1]);
}

TEST(Trainings, AreOnEveryPage) {
  const Folder folder;
  write_trained(folder.path(), 3);
  const Results results = write_reports(folder.path());
  const std::string markdown = report_markdown(results);
  expect_has(markdown, "## Trainings\n\n| arms | learning rate | parameters | ended | steps | time | notes |\n");
  expect_has(markdown, "| mha/full, mha/short | 0.003 | 12.3 k | 3 of 3 | 1000 | 12 s |  |\n");
  expect_has(markdown, "### Search for the learning rate\n");
  expect_has(markdown, "| mha/full, mha/short | 0.001 | 1.323 | 3 of 3 |  |\n");
  expect_has(markdown, "| mha/full, mha/short | 0.003 | 1.023 | 3 of 3 | kept |\n");
  expect_has(markdown, "| mha/full, mha/short | 0.01 | 1.315 | 2 of 3 | 1 diverged |\n");
  expect_has(markdown, "Points of learning curves are means of 4 steps each.");
  expect_has(markdown, "![Learning curves](charts/learning-curves.svg)");
  expect_has(markdown, "those of trainings, which have no rounds, are about seeds");
  const std::string terminal = terminal_table(results);
  expect_has(terminal, "trainings\n  arms ");
  expect_has(terminal, "search for the learning rate, by validation loss\n");
  expect_has(terminal, "1 diverged");
  EXPECT_TRUE(fs::exists(folder / "charts/learning-curves.svg"));

  const nlohmann::ordered_json json = report_json(results).at("trainings");
  EXPECT_EQ(json.at("progress"), "");
  EXPECT_EQ(json.at("steps_a_point"), 4);
  ASSERT_EQ(json.at("runs").size(), 18u);
  const nlohmann::ordered_json& first = json.at("runs")[1];
  EXPECT_EQ(first.at("id"), training_id("mha", 1, 1));
  EXPECT_EQ(first.at("kept"), true);
  EXPECT_EQ(first.at("curve").at("steps").size(), 250u);
  const double mean = (4 * (std::exp(-0.01) + std::exp(-0.02) + std::exp(-0.03) + std::exp(-0.04))) / 4 + 1.02;
  EXPECT_NEAR(first.at("curve").at("loss")[0].get<double>(), mean, 1e-5);
  EXPECT_EQ(first.at("held_out").at("accuracy"), (std::vector<double>{0.5, 0.75}));
  EXPECT_EQ(json.at("medians").size(), 6u);
  EXPECT_EQ(json.at("search").size(), 2u);
  EXPECT_EQ(json.at("search")[0].at("rates")[2].at("diverged"), 1);
}

TEST(Trainings, UnderWaySayHowFarTheyAre) {
  const Folder folder;
  write_trained(folder.path(), 2);
  for (const auto& entry : fs::directory_iterator(folder / "trials")) fs::remove(entry.path());
  for (const char* id : {"linear-0-2", "linear-1-2", "linear-2-2"}) {
    fs::remove(folder / "training" / (std::string(id) + ".json"));
    if (std::string_view(id) != "linear-0-2") fs::remove(folder / "training" / (std::string(id) + ".csv"));
  }
  const std::string half = curve_text(400, 1.5);
  write_plainly(folder / "training/linear-0-2.csv", half + "401,1.3");
  const Results results = write_reports(folder.path());
  const std::string progress =
      "Trainings: 9 of 12 have ended; 1 is under way (linear/full, seed 2: step 400 of 1000); 2 have not begun.";
  for (const std::string& page : {report_markdown(results), terminal_table(results)}) {
    expect_has(page, progress);
    expect_has(page, "running: step 400 of 1000 (seed 2)");
    expect_has(page, "diverged: the loss of step 391 is no number (seed 2)");  // no rate is kept yet: all are shown
  }
  EXPECT_EQ(report_json(results).at("trainings").at("progress"), progress);
  EXPECT_EQ(report_json(results).at("trainings").at("runs")[9].at("status"), "running");
  expect_has(read_plainly(folder / "report.html"), progress);
}

TEST(Trainings, ThatDivergedAreCountedWhereverStatusesAre) {
  const Folder folder;
  write_trained(folder.path(), 3);
  TrialResult diverged = train_trial(arm("linear"), 3, 1);
  diverged.status = "diverged";
  diverged.reason = "the loss of step 391 is no number";
  diverged.samples.clear();
  write_trial(folder / "trials", diverged);
  const Results results = write_reports(folder.path());
  const std::string markdown = report_markdown(results);
  expect_has(markdown, "1 arm diverged in training with at least one seed.");
  expect_has(markdown, "| linear/full | train recall steps1000 | 1 | diverged: the loss of step 391 is no number |");
  expect_has(markdown, "diverged: the loss of step 391 is no number (seeds: 1)");
  expect_has(read_plainly(folder / "samples.csv"), "diverged: the loss of step 391 is no number");
  const nlohmann::ordered_json failure = report_json(results).at("failures").at(0);
  EXPECT_EQ(failure.at("status"), "diverged");
  EXPECT_EQ(failure.at("seeds"), (std::vector<int>{3}));
  expect_has(read_plainly(write_index(folder.path())), "<span class=\"status\">1 diverged</span>");
}

// What the training of an arm is worth does not depend on its cache, so the small cache is not better for nothing.
TEST(Trainings, AreAQualityAgainstTheBytesOfTheLargestCacheThatSharesThem) {
  const Folder folder;
  write_trained(folder.path(), 3);
  const std::vector<Tradeoff> all = tradeoffs(read_results(folder.path()));
  ASSERT_EQ(all.size(), 2u) << "validation loss and accuracy, against the bytes of speed";
  for (const Tradeoff& tradeoff : all) {
    EXPECT_EQ(tradeoff.quality.entry, kTrainCase);
    EXPECT_EQ(tradeoff.cost.metric, "kv_bytes_allocated");
    ASSERT_EQ(tradeoff.points.size(), 2u);
    EXPECT_EQ(tradeoff.points[0].arm, "mha/full");
    EXPECT_EQ(tradeoff.points[1].arm, "linear/full");
    ASSERT_TRUE(tradeoff.points[0].quality_seeds);
    EXPECT_LT(tradeoff.points[0].quality_seeds->low, tradeoff.points[0].quality_seeds->high);
  }
  EXPECT_EQ(all[0].quality.metric, "validation_loss");
  EXPECT_DOUBLE_EQ(all[0].points[0].quality_seeds->low, validation_loss("mha", 1, 3));
}

TEST(Trainings, HaveTheirCurvesAsFiguresOfAPaper) {
  const Folder folder;
  write_trained(folder.path(), 3);
  std::set<std::string> names;
  for (const fs::path& file : write_figures(read_results(folder.path()), folder / "paper"))
    names.insert(file.filename());
  EXPECT_TRUE(names.contains("learning-curves.svg"));
  EXPECT_TRUE(names.contains("learning-curves.pdf"));
  const std::string svg = read_plainly(folder / "paper/learning-curves.svg");
  std::size_t thin = 0, thick = 0;
  for (std::size_t at = svg.find("stroke-width=\"0.6\""); at != std::string::npos;
       at = svg.find("stroke-width=\"0.6\"", at + 1))
    ++thin;
  for (std::size_t at = svg.find("stroke-width=\"2\""); at != std::string::npos;
       at = svg.find("stroke-width=\"2\"", at + 1))
    ++thick;
  EXPECT_EQ(thin, 6u) << "two variants, three seeds";
  EXPECT_EQ(thick, 4u) << "their medians, and the legend";
}

// Weights that were random are trained when their quality is measured.
TEST(Trainings, TakeTheBannerOfRandomWeightsAway) {
  StudyLayout study = trained_study(1);
  study.model = {.path = "tiny.yaml", .weights = "training"};
  Results results;
  results.environment = nlohmann::json::object();
  results.layout = completed(study, {});
  EXPECT_EQ(report_json(results).at("banner"), "");
  expect_has(report_json(results).at("inputs")[0], "trained by the study");
  results.layout.model.weights = "seed";
  EXPECT_NE(report_json(results).at("banner"), "");
}

TEST(Trainings, OfAStudyWithoutAnyHaveNoSection) {
  const Folder folder;
  fs::create_directories(folder / "trials");
  write_plainly(folder / "environment.json", nlohmann::json{{"study", layout({arm("mha")})}}.dump());
  write_trial(folder / "trials", trial(arm("mha"), 0, {prefill(5)}));
  const Results results = read_results(folder.path());
  EXPECT_EQ(report_markdown(results).find("raining"), std::string::npos);
  EXPECT_TRUE(report_json(results).at("trainings").is_null());
}

}  // namespace
}  // namespace attnlab::report::test

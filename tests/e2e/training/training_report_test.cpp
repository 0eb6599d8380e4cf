// What `attnlab report` and `attnlab compare` make of a results folder with trainings, at its end and while they run.
#include "e2e/experiments.h"
#include "unit/training_samples.h"

namespace attnlab::program_test {
namespace {

using report::test::curve_text;
using report::test::write_trained;

TEST(TrainingReport, ShowsTrainingsTheirSearchAndTheirVerdict) {
  const Sandbox sandbox;
  write_trained(sandbox / "out", 5);
  const Outcome outcome = sandbox.run({"report", "out"});
  expect_well(outcome);
  expect_mentions(read_file(sandbox / "out/report.md"),
                  {"## Trainings", "### Search for the learning rate",
                   "worse accuracy after training: ", "| mha/full, mha/short | 0.01 | 1.315 | 4 of 5 | 1 diverged |"});
  expect_mentions(read_file(sandbox / "out/report.html"), {"\"trainings\":{\"progress\":\"\",\"steps_a_point\":4,"});
  EXPECT_TRUE(fs::exists(sandbox / "out/charts/learning-curves.svg"));
  const CsvTable summary = summary_of(sandbox / "out");
  const auto rows = summary.where({{"arm", "linear/full"}, {"workload", "train"}, {"metric", "validation_loss"}});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(summary.at(rows[0], "n"), "5");
  EXPECT_FALSE(summary.at(rows[0], "ratio_low").empty());
  const CsvTable comparisons(read_file(sandbox / "out/comparisons.csv"));
  const auto ratios = comparisons.where({{"arm", "linear/full"}, {"metric", "validation_loss"}});
  ASSERT_EQ(ratios.size(), 1U);
  EXPECT_EQ(comparisons.at(ratios[0], "marked"), "yes");
}

TEST(TrainingReport, OfARunThatIsUnderWaySaysHowFarItIsWhereverAFileEnds) {
  const Sandbox sandbox;
  write_trained(sandbox / "out", 2);
  for (const auto& entry : fs::directory_iterator(sandbox / "out/trials")) fs::remove(entry.path());
  fs::remove(sandbox / "out/training/linear-1-2.json");
  const std::string whole = curve_text(120, 1.5);
  const std::size_t last_row = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t end = last_row; end <= whole.size(); ++end) {
    report::test::write_plainly(sandbox / "out/training/linear-1-2.csv", whole.substr(0, end));
    expect_well(sandbox.run({"report", "out"}));
    const std::string words = "11 of 12 have ended; 1 is under way (linear/full, seed 2: step " +
                              std::string(end == whole.size() ? "120" : "119") + " of 1000)";
    expect_mentions(read_file(sandbox / "out/report.md"), {words});
    expect_mentions(read_file(sandbox / "out/report.html"), {words});
  }
  report::test::write_plainly(sandbox / "out/training/linear-1-2.csv", whole + "a line\n");
  expect_refused(sandbox, {"report", "out"}, {"training/linear-1-2.csv:122", "is no row of a curve"});
}

TEST(TrainingReport, AndAnotherAreComparedSeedBySeed) {
  const Sandbox sandbox;
  for (const char* folder : {"a", "b"}) write_trained(sandbox / folder, 5);
  for (const auto& entry : fs::directory_iterator(sandbox / "b/trials")) {
    nlohmann::json trial = nlohmann::json::parse(read_file(entry.path()));
    if (trial.at("workload") != "train") continue;
    for (nlohmann::json& sample : trial["samples"])
      if (sample.at("metric") == "train_seconds")
        sample["value"] = sample.at("value").get<double>() * (1.5 + 0.01 * trial.at("seed").get<int>());
    report::test::write_plainly(entry.path(), trial.dump());
  }
  const Outcome outcome = sandbox.run({"compare", "a", "b", "--all", "--fail-above", "20%"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
  expect_mentions(outcome.out, {"train recall steps1000", "training time", "worse by more than 20 %"});
}

}  // namespace
}  // namespace attnlab::program_test

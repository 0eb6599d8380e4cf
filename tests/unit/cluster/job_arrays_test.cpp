// Which jobs a study becomes, and what they wait for.
#include "cluster/job_arrays.h"

#include <gtest/gtest.h>

#include "golden/program.h"
#include "study/plan.h"

namespace attnlab::cluster {
namespace {

using experiment::Plan;

class JobArrays : public testing::Test {
 protected:
  Plan plan_of(const std::string& rest) {
    const std::string tiny = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";
    folder_.write("text.txt", std::string(4096, 'a'));
    return experiment::make_plan(folder_.write("f.yaml", "name: x\nmodel: " + tiny + "\nthreads: 1\n" + rest), {});
  }
  static const experiment::PlannedTraining& training(const Plan& plan, const Unit& unit) {
    return plan.trainings[StudyUnits(plan).training(unit.training)];
  }

  program_test::Sandbox folder_;
};

const std::string kTrain =
    "train: {task: {text: {files: text.txt, context: 32, held_out: 0.1}}, steps: 3, batch: 2, schedule: constant, ";

TEST_F(JobArrays, AreTheBaselineThenTheOtherArmsThenRounds) {
  const Plan plan = plan_of(
      "seed: [1, 2]\nrepeats: 3\narms: {grid: {attention: [gqa, mqa, mha]}}\n"
      "workloads: [{perplexity: {text: text.txt, context: 32}}, {speed: {batch: [q8]}}]");
  const StudyUnits study(plan);
  const std::vector<Unit> units = study.all(0, 3);
  ASSERT_EQ(units.size(), 9U);  // of each of two seeds three arms, and three rounds
  const std::vector<JobArray> arrays = job_arrays(plan, study, units, 1001);
  // Baseline and others of each seed, and the rounds.
  ASSERT_EQ(arrays.size(), 5U);
  EXPECT_EQ(arrays[0].count, 1);
  EXPECT_TRUE(arrays[0].needs.empty());
  EXPECT_EQ(arrays[1].count, 2);
  EXPECT_EQ(arrays[1].needs, (std::vector<Need>{{Need::Of::any_end, 0, 0}})) << "its predictions are compared";
  EXPECT_EQ(arrays[3].needs, (std::vector<Need>{{Need::Of::any_end, 2, 0}}));
  EXPECT_EQ(arrays[4].count, 3);
  EXPECT_EQ(arrays[4].kind, UnitKind::round);
  EXPECT_TRUE(arrays[4].needs.empty());
  EXPECT_EQ(dependency_text(arrays[3].needs, {"7", "8", "9"}), "afterany:9_0");
}

TEST_F(JobArrays, HaveNoMoreElementsThanTheClusterTakes) {
  const Plan plan = plan_of("repeats: 25\narms: [{attention: gqa}]\nworkloads: [{speed: {batch: [q8]}}]");
  const StudyUnits study(plan);
  const std::vector<JobArray> arrays = job_arrays(plan, study, study.all(0, 25), 10);
  ASSERT_EQ(arrays.size(), 3U);
  std::size_t next = 0;
  for (const JobArray& array : arrays) {
    EXPECT_EQ(array.first, next);
    EXPECT_LE(array.first_task + array.count, 10);
    next += static_cast<std::size_t>(array.count);
  }
  EXPECT_EQ(next, 25U);
}

// Arms that share a training wait for it, element by element; rounds for all, however they end.
TEST_F(JobArrays, WaitForTheGoodEndOfTheirOwnTrainings) {
  const Plan plan = plan_of(
      "repeats: 2\nseed: [1, 2]\n"
      "arms: {grid: {attention: [gqa, mqa, mha], cache: [full, {window: {window: 16}}]}}\n"
      "workloads: [{perplexity: {text: text.txt, context: 32, prefill: 8}}, {speed: {batch: [q8]}}]\n" +
      kTrain + "optimiser: {adamw: {lr: 0.01}}}");
  const StudyUnits study(plan);
  const std::vector<Unit> units = study.all(0, 2);
  ASSERT_EQ(units.size(), 6U + 12U + 2U);
  const std::vector<JobArray> arrays = job_arrays(plan, study, units, 1001);
  ASSERT_EQ(arrays.front().kind, UnitKind::training);
  EXPECT_EQ(arrays.front().count, 6);
  int checked = 0;
  for (const JobArray& array : arrays) {
    if (array.kind == UnitKind::round) {
      EXPECT_EQ(array.needs, (std::vector<Need>{{Need::Of::any_end, 0, -1}}));
      continue;
    }
    if (array.kind != UnitKind::once) continue;
    ASSERT_EQ(array.needs.back(), (Need{Need::Of::corresponding, 0, -1}));
    for (int element = 0; element < array.count; ++element) {
      const Unit& unit = units[array.first + static_cast<std::size_t>(element)];
      const Unit& waits_for = units[static_cast<std::size_t>(array.first_task + element)];
      EXPECT_EQ(waits_for.seed, unit.seed);
      const auto& group = plan.groups[training(plan, waits_for).group];
      EXPECT_NE(std::ranges::find(group.arms, study.arm(unit.arm)), group.arms.end()) << unit.arm;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 12);
}

TEST_F(JobArrays, WaitForEveryTrainingOfASearch) {
  const Plan plan = plan_of(
      "seed: [1, 2]\narms: {grid: {attention: [gqa, mqa]}}\n"
      "workloads: [{perplexity: {text: text.txt, context: 32}}]\n" +
      kTrain + "optimiser: adamw, search: {lr: [0.01, 0.02]}, evaluate: {every: 3}}");
  const StudyUnits study(plan);
  const std::vector<Unit> units = study.all(0, 0);
  const std::vector<JobArray> arrays = job_arrays(plan, study, units, 1001);
  for (const JobArray& array : arrays) {
    if (array.kind != UnitKind::once) continue;
    std::set<std::size_t> groups;
    std::size_t good = 0;
    for (const Need& need : array.needs)
      if (need.of == Need::Of::good_end) {
        ++good;
        groups.insert(training(plan, units[static_cast<std::size_t>(need.task)]).group);
      }
    EXPECT_EQ(good, 4U) << "two rates with two seeds";
    EXPECT_EQ(groups.size(), 1U);
  }
}

// A job plans its part alone, and must come to the same trials.
TEST_F(JobArrays, OfAPartOfTheStudyHaveTheSameTrials) {
  const std::string yaml =
      "repeats: 2\narms: {grid: {attention: [gqa, mqa, mha]}}\nbaseline: {attention: mqa}\n"
      "workloads: [{perplexity: {text: text.txt, context: 32}}, {speed: {batch: [q8]}}]\n" +
      kTrain + "optimiser: {adamw: {lr: 0.01}}}";
  const Plan whole = plan_of(yaml);
  for (const Unit& unit : StudyUnits(whole).all(0, 0)) {
    experiment::PlanOptions options;
    options.arms = {unit.arm};
    const Plan part = experiment::make_plan(folder_ / "f.yaml", options);
    EXPECT_LE(part.arms.size(), 2U);
    EXPECT_EQ(part.arms[part.spec.baseline].arm.name, whole.arms[whole.spec.baseline].arm.name);
    EXPECT_EQ(part.identity, whole.identity);
    EXPECT_EQ(StudyUnits(part).check_of(unit), unit.check) << unit.key();
  }
}

}  // namespace
}  // namespace attnlab::cluster

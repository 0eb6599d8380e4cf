// Studies as jobs of a real Slurm cluster, held against the same studies on this machine: undisturbed, and with a node,
// a watcher or a disk that goes under way.
#include "e2e/cluster/slurm_cluster.h"

#include <sys/mount.h>

#include <nlohmann/json.hpp>

#include "e2e/background.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

std::string text() {
  std::string text;
  for (int line = 0; line < 40; ++line)
    text += "Line " + std::to_string(line) + " of a text that is read by every arm, window by window.\n";
  return text;
}

// Trials by file: what is the same in every run of them.
std::map<std::string, nlohmann::json> exact_trials(const fs::path& results) {
  std::map<std::string, nlohmann::json> trials;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(results / "trials", none)) {
    if (entry.path().extension() != ".json" || entry.path().filename().string().starts_with('.')) continue;
    const auto trial = nlohmann::json::parse(read_file(entry.path()));
    nlohmann::json exact{{"arm", trial.at("arm")},       {"case", trial.at("case")}, {"round", trial.at("round")},
                         {"status", trial.at("status")}, {"seed", trial.at("seed")}, {"reason", trial.at("reason")}};
    for (const auto& sample : trial.at("samples"))
      if (sample.at("deterministic") == true) exact["samples"].push_back(sample);
    trials[entry.path().filename().string()] = std::move(exact);
  }
  return trials;
}

class Slurm : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = SlurmCluster::why_not(); !why.empty()) GTEST_SKIP() << why;
    cluster_ = std::make_unique<SlurmCluster>();
    ASSERT_TRUE(cluster_->is_up()) << cluster_->log();
    sandbox_.write("text.txt", text());
  }

  void write(const Experiment& study) const { sandbox_.write("study.yaml", study.yaml()); }

  static std::vector<std::string> command(const std::string& folder, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"run", "study.yaml", "-o", folder};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static std::vector<std::string> on_cluster(const std::string& folder, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--launcher", "slurm", "--set", "launcher.slurm.file_delay=5"});
    return command(folder, std::move(more));
  }

  void expect_as_on_this_machine(const std::string& folder) const {
    EXPECT_EQ(exact_trials(sandbox_ / folder), exact_trials(sandbox_ / "local"));
    EXPECT_EQ(quality_rows(sandbox_ / folder), quality_rows(sandbox_ / "local"));
    EXPECT_EQ(CsvTable(read_file(sandbox_ / folder / "samples.csv")).rows(),
              CsvTable(read_file(sandbox_ / "local/samples.csv")).rows());
    for (const auto& entry : fs::recursive_directory_iterator(sandbox_ / folder))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path() << " was left behind";
    EXPECT_FALSE(fs::exists(sandbox_ / folder / "run.lock"));
  }

  [[nodiscard]] std::size_t trials_in(const std::string& folder) const {
    return exact_trials(sandbox_ / folder).size();
  }

  Sandbox sandbox_;
  std::unique_ptr<SlurmCluster> cluster_;
};

// 4 arms, 2 seeds, 24 texts once, and one case in one round: 200 trials.
Experiment two_hundred_trials() {
  std::string workloads = "\n  - speed: {batch: [q8]}\n";
  for (int context = 24; context < 48; ++context)
    workloads +=
        "  - perplexity: {text: text.txt, context: " + std::to_string(context) + ", prefill: 12, max_windows: 2}\n";
  return {.repeats = "1",
          .arms = "\n  grid:\n    attention: [gqa, mqa]\n    cache: [full, {window: {window: 16}}]",
          .workloads = workloads,
          .more = "seed: [1, 2]\nwarmup: 0\nthreads: 1"};
}

TEST_F(Slurm, RunsAStudyOfTwoHundredTrialsAsThisMachineDoes) {
  write(two_hundred_trials());
  expect_well(sandbox_.run(command("local")));
  const Outcome outcome = sandbox_.run(on_cluster("cluster"));
  expect_well(outcome);
  ASSERT_EQ(trials_in("local"), 200U);
  expect_as_on_this_machine("cluster");
  const auto environment = nlohmann::json::parse(read_file(sandbox_ / "cluster/environment.json"));
  std::size_t rounds = 0, trials = 0;
  for (const auto& node : environment.at("nodes")) {
    rounds += node.at("rounds").get<std::size_t>();
    trials += node.at("trials").get<std::size_t>();
  }
  EXPECT_EQ(rounds, 1U);
  EXPECT_EQ(trials, 200U);
  EXPECT_NE(read_file(sandbox_ / "cluster/report.md").find("| nodes | n"), std::string::npos);
  expect_mentions(outcome.out, {"submitted 9 jobs in 5 job arrays", "--attach"});
}

// The arms of a round are never on two machines, and speeds have ratios.
TEST_F(Slurm, KeepsTheArmsOfARoundOnOneNode) {
  write({.repeats = "6",
         .arms = "[{attention: gqa}, {attention: mqa}]",
         .workloads = "[{speed: {batch: [q16]}}]",
         .more = "warmup: 0\nlauncher: {slurm: {cpus: 1, partition: main, time: 5, array: 3}}"});
  expect_well(sandbox_.run(command("out")));
  std::map<int, std::set<std::string>> nodes;
  for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials")) {
    const auto trial = nlohmann::json::parse(read_file(entry.path()));
    nodes[trial.at("round")].insert(trial.at("details").at("node").at("name").get<std::string>());
  }
  std::set<std::string> all;
  for (const auto& [round, names] : nodes) {
    EXPECT_EQ(names.size(), 1U) << round;
    all.insert(names.begin(), names.end());
  }
  EXPECT_EQ(nodes.size(), 6U);
  EXPECT_EQ(all.size(), 2U) << "jobs of one node each run side by side on two";
  const CsvTable summary = summary_of(sandbox_ / "out");
  const auto rows = summary.where({{"arm", "mqa/rope/full"}, {"metric", "prefill_tokens_per_second"}});
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(summary.at(rows[0], "n"), "6");
  EXPECT_NE(summary.at(rows[0], "baseline_ratio"), "");
}

TEST_F(Slurm, TrainsBeforeItMeasuresAndSaysWhyWhatDependsOnAFailedTrainingHasNoFigures) {
  const std::string train =
      "train: {task: {text: {files: text.txt, context: 32, held_out: 0.1}}, steps: 3, batch: 2, schedule: constant, "
      "optimiser: "
      "{adamw: {lr: 0.01}}}";
  write({.arms = "[{attention: gqa}, {attention: mqa}]",
         .workloads = "[{perplexity: {text: text.txt, context: 32, max_windows: 2}}]",
         .more = "seed: [1, 2]\nthreads: 1\n" + train});
  expect_well(sandbox_.run(command("local")));
  expect_well(sandbox_.run(on_cluster("cluster")));
  expect_as_on_this_machine("cluster");
  // The job of the first training ends before AttnLab is called.
  sandbox_.write("failing.yaml", read_file(sandbox_ / "study.yaml") +
                                     "launcher: {slurm: {setup: \"[ $SLURM_ARRAY_TASK_ID$1 != 00 ] || exit 3\"}}\n");
  const Outcome outcome = sandbox_.run({"run", "failing.yaml", "-o", "failing"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  std::map<std::string, std::vector<std::string>> ends;
  for (const auto& [file, trial] : exact_trials(sandbox_ / "failing"))
    if (trial.at("status") != "ok") ends[trial.at("reason")].push_back(trial.at("case"));
  ASSERT_EQ(ends.size(), 1U);
  expect_mentions(ends.begin()->first, {"slurm: FAILED in job ", " on n", "NonZeroExitCode"});
  EXPECT_EQ(ends.begin()->second.size(), 2U) << "the training's row, and that of the perplexity";
  EXPECT_EQ(trials_in("failing"), trials_in("local"));
  // Once its cause is gone, what failed is trained and measured, and nothing else.
  const Outcome resumed = sandbox_.run(on_cluster("failing", {"--resume"}));
  expect_well(resumed);
  expect_mentions(resumed.out, {"submitted 2 jobs in 2 job arrays"});
  expect_as_on_this_machine("failing");
}

TEST_F(Slurm, LosesNothingWithTheWatcher) {
  write(two_hundred_trials());
  expect_well(sandbox_.run(command("local")));
  Background watcher(sandbox_, on_cluster("cluster"));
  ASSERT_TRUE(watcher.wait_until([&] { return trials_in("cluster") > 20; }));
  EXPECT_EQ(watcher.end_with(SIGKILL).signal, SIGKILL);
  // The experiment may be edited while its jobs wait: they have it as it was.
  sandbox_.write("study.yaml", "name: another\n");
  expect_well(sandbox_.run({"run", "--attach", "cluster"}));
  expect_as_on_this_machine("cluster");
}

TEST_F(Slurm, LeavesItsJobsWhereItIsInterruptedAndResumeSubmitsNothingTwice) {
  write(two_hundred_trials());
  expect_well(sandbox_.run(command("local")));
  Background watcher(sandbox_, on_cluster("cluster"));
  ASSERT_TRUE(watcher.wait_until([&] { return trials_in("cluster") > 20; }));
  watcher.signal(SIGINT);
  const Outcome left = watcher.wait();
  EXPECT_EQ(left.exit_code, 130) << left;
  expect_mentions(left.out, {"its jobs go on", "--attach"});
  const Outcome resumed = sandbox_.run(on_cluster("cluster", {"--resume"}));
  expect_well(resumed);
  expect_as_on_this_machine("cluster");
  EXPECT_EQ(resumed.out.find("submitted"), std::string::npos) << "all of it was there or on its way: " << resumed.out;
}

TEST_F(Slurm, LosesNothingWithANode) {
  Experiment study = two_hundred_trials();
  study.repeats = "4";
  study.workloads = "\n  - speed: {batch: [q8]}\n  - perplexity: {text: text.txt, context: 40, prefill: 12}\n";
  write(study);
  expect_well(sandbox_.run(command("local")));
  Background watcher(sandbox_, on_cluster("cluster"));
  ASSERT_TRUE(watcher.wait_until([&] { return trials_in("cluster") > 2; }));
  cluster_->stop_node("n1", SIGKILL);  // what runs there goes on, and Slurm does not know it
  const Outcome outcome = watcher.wait();
  expect_well(outcome);
  expect_as_on_this_machine("cluster");
}

// The job that Slurm has given up trains on beside the one that it has started in its place.
TEST_F(Slurm, TrainsOnceWhereANodeIsLost) {
  write({.arms = "[{attention: gqa}, {attention: mqa}]",
         .workloads = "[{perplexity: {text: text.txt, context: 32, max_windows: 2}}]",
         .more = "threads: 1\ntrain: {task: {text: {files: text.txt, context: 64, held_out: 0.1}}, steps: 1500, batch: "
                 "8, schedule: "
                 "constant, optimiser: {adamw: {lr: 0.001}}}"});
  expect_well(sandbox_.run(command("local")));
  Background watcher(sandbox_, on_cluster("cluster"));
  ASSERT_TRUE(watcher.wait_until([&] {
    return SlurmCluster::output("squeue --noheader --states=running --format=%N").find("n1") != std::string::npos;
  }));
  cluster_->stop_node("n1", SIGKILL);
  expect_well(watcher.wait());
  expect_as_on_this_machine("cluster");
}

TEST_F(Slurm, SaysWithWhatSlurmEndedAJob) {
  write({.arms = "[{attention: gqa}, {attention: mqa}]",
         .workloads = "[{perplexity: {text: text.txt, context: 32, max_windows: 2}}]",
         .more = "threads: 1\nlauncher: {slurm: {setup: \"[ $SLURM_ARRAY_TASK_ID$1 != 01 ] || sleep 100\"}}"});
  Background watcher(sandbox_, command("out"));
  ASSERT_TRUE(watcher.wait_until([&] {
    return trials_in("out") == 1 &&
           SlurmCluster::output("squeue --noheader --states=running --format=%j").find("-1\n") != std::string::npos;
  })) << watcher.end_with(SIGKILL);
  ASSERT_TRUE(SlurmCluster::shell("scancel --user=root --state=running"));
  const Outcome outcome = watcher.wait();
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  const auto rows = summary_of(sandbox_ / "out").where({{"arm", "mqa/rope/full"}});
  ASSERT_EQ(rows.size(), 1U);
  expect_mentions(summary_of(sandbox_ / "out").at(rows[0], "status"), {"failed: slurm: CANCELLED in job ", " on n"});
  // What failed is submitted again, and ends well.
  write({.arms = "[{attention: gqa}, {attention: mqa}]",
         .workloads = "[{perplexity: {text: text.txt, context: 32, max_windows: 2}}]",
         .more = "threads: 1\nlauncher: slurm"});
  const Outcome resumed = sandbox_.run(command("out", {"--resume"}));
  expect_well(resumed);
  expect_mentions(resumed.out, {"submitted 1 job in 1 job array"});
}

TEST_F(Slurm, LosesNothingWhereTheDiskIsFull) {
  write(two_hundred_trials());
  expect_well(sandbox_.run(command("local")));
  fs::create_directory(sandbox_ / "disk");
  if (mount("none", (sandbox_ / "disk").c_str(), "tmpfs", 0, "size=24m") != 0) GTEST_SKIP() << "nothing can be mounted";
  {
    Background watcher(sandbox_, on_cluster("disk/cluster"));
    EXPECT_TRUE(watcher.wait_until([&] { return trials_in("disk/cluster") > 20; }));
    static_cast<void>(SlurmCluster::shell("dd if=/dev/zero of=" + (sandbox_ / "disk/full").string() + " bs=64k"));
    const Outcome outcome = watcher.wait();
    EXPECT_NE(outcome.exit_code, 0) << outcome;
    EXPECT_EQ(outcome.signal, 0) << outcome;
  }
  EXPECT_TRUE(SlurmCluster::within(60, [] { return SlurmCluster::output("squeue --noheader").empty(); }));
  for (const auto& [file, trial] : exact_trials(sandbox_ / "disk/cluster"))
    EXPECT_FALSE(trial.at("status") == "ok" && !trial.contains("samples")) << file;
  fs::remove(sandbox_ / "disk/full");
  expect_well(sandbox_.run(on_cluster("disk/cluster", {"--resume"})));
  expect_as_on_this_machine("disk/cluster");
  umount((sandbox_ / "disk").c_str());
}

TEST(ClusterRuns, AreRefusedWhereSlurmIsNotThereOrThreadsAreNotSaid) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{}.yaml());
  const Surroundings without{.variables = {{"PATH", "/nowhere"}}};
  const Outcome outcome =
      sandbox.run({"run", "study.yaml", "-o", "out", "--launcher", "slurm", "--threads", "1"}, without);
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  expect_mentions(outcome.first_error(), {"scontrol", "Slurm is not installed", "--launcher local"});
  expect_refused(sandbox, {"validate", "study.yaml", "--launcher", "slurm"}, {"threads", "cpus"});
  expect_refused(sandbox, {"run", "--attach", "nothing"}, {"nothing", "no results folder of a study on a cluster"});
  expect_refused(sandbox, {"run"}, {"FILE"});
  sandbox.write("wrong.yaml", Experiment{.more = "launcher: {slurm: {time: soon, cpus: 0, nodes: 3}}"}.yaml());
  const Outcome wrong = sandbox.run({"validate", "wrong.yaml"});
  EXPECT_EQ(wrong.exit_code, 2);
  expect_mentions(wrong.err, {"time: \"soon\" is no time of Slurm's", "cpus", "nodes"});
}

}  // namespace
}  // namespace attnlab::program_test

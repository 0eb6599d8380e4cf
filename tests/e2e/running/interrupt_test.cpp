// Ctrl-C, locks, and folders that cannot be used: what happens to a run from outside.
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include <nlohmann/json.hpp>

#include "e2e/background.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

Experiment many_rounds() {
  return {.repeats = "200",
          .arms = "[{attention: mqa}, {attention: gqa}]",
          .workloads = "[{speed: {batch: [q32]}}]",
          .more = "warmup: 0",
          .in_turns = true};
}

std::size_t trials_in(const fs::path& results) {
  std::size_t count = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(results / "trials", none))
    count += entry.path().extension() == ".json" ? 1 : 0;
  return count;
}

class Disturbed : public testing::Test {
 protected:
  void SetUp() override { sandbox_.write("study.yaml", many_rounds().yaml()); }
  bool is_under_way(Background& run) const {
    return run.wait_until([&] { return trials_in(sandbox_ / "out") >= 2; });
  }
  Sandbox sandbox_;
  const std::vector<std::string> command_{"run", "study.yaml", "-o", "out"};
};

TEST_F(Disturbed, InterruptOnceFinishesTheTrialInFlightAndWritesThePartialReport) {
  Background run(sandbox_, command_);
  ASSERT_TRUE(is_under_way(run)) << run.wait();
  run.signal(SIGINT);
  const Outcome outcome = run.wait();
  EXPECT_EQ(outcome.exit_code, 130) << outcome;
  expect_mentions(outcome.err, {"attnlab: warning: interrupted"});
  expect_mentions(outcome.out, {"report: out/report.md"});
  for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials"))
    EXPECT_EQ(nlohmann::json::parse(read_file(entry.path())).at("status"), "ok");
  EXPECT_GT(summary_of(sandbox_ / "out").rows(), 0U);
  EXPECT_FALSE(fs::exists(sandbox_ / "out/run.lock"));
  const auto environment = nlohmann::json::parse(read_file(sandbox_ / "out/environment.json"));
  expect_mentions(environment.at("study").at("stopped"), {"interrupted", "400 trials", "--resume"});
}

TEST_F(Disturbed, InterruptTwiceEndsAtOnceAndTheTrialProcessWithIt) {
  Background run(sandbox_, command_);
  ASSERT_TRUE(is_under_way(run)) << run.wait();
  std::optional<pid_t> child;
  // Not one that was forked a moment ago and has not yet asked to end with its parent.
  ASSERT_TRUE(run.wait_until([&] {
    child = run.child();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return child.has_value() && run.child() == child;
  }));
  kill(*child, SIGSTOP);  // a trial that does not end
  run.signal(SIGINT);
  ASSERT_TRUE(run.wait_until([&] {
    std::ifstream status("/proc/" + std::to_string(run.pid()) + "/status");
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:"))
        if (line.find_first_not_of("0\t ", 7) != std::string::npos) return false;
    return true;
  }));
  run.signal(SIGINT);
  EXPECT_EQ(run.wait().exit_code, 130);
  // The child ends with its parent; a stopped one too.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (fs::exists("/proc/" + std::to_string(*child)) && std::chrono::steady_clock::now() < deadline) {
    std::ifstream stat("/proc/" + std::to_string(*child) + "/stat");
    std::string pid, name, state;
    if (stat >> pid >> name >> state && state == "Z") break;  // it is not waited for here
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(std::chrono::steady_clock::now(), deadline) << "the trial process outlives its parent";
}

TEST_F(Disturbed, ASecondRunInTheSameFolderIsRefusedAndTheFirstGoesOn) {
  Background run(sandbox_, command_);
  ASSERT_TRUE(is_under_way(run)) << run.wait();
  for (const char* more : {"--resume", "--quiet"}) {
    std::vector<std::string> again = command_;
    again.emplace_back(more);
    expect_wrong_input(sandbox_.run(again), {"run.lock", "another run (process " + std::to_string(run.pid()) + ")"});
  }
  EXPECT_FALSE(run.has_ended());
  const auto lock = nlohmann::json::parse(read_file(sandbox_ / "out/run.lock"));
  EXPECT_EQ(lock.at("pid"), run.pid());
  EXPECT_FALSE(lock.at("host").get<std::string>().empty());
}

TEST_F(Disturbed, ALockWhoseHolderIsGoneIsTakenOver) {
  Background run(sandbox_, command_);
  ASSERT_TRUE(is_under_way(run)) << run.wait();
  run.end_with(SIGKILL);
  ASSERT_TRUE(fs::exists(sandbox_ / "out/run.lock"));
  const std::vector<std::string> resume{"run", "study.yaml", "-o", "out", "--resume", "--set", "repeats=1"};
  expect_well(sandbox_.run(resume));
  EXPECT_FALSE(fs::exists(sandbox_ / "out/run.lock"));
  // The number of a process that lives, but began at another time.
  nlohmann::json lock{{"host", ""}, {"pid", getpid()}, {"started", 1}, {"boot", ""}};
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  lock["host"] = host;
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  lock["boot"] = boot;
  sandbox_.write("out/run.lock", lock.dump());
  expect_well(sandbox_.run(resume));
  // Half of a lock: its writer was killed.
  sandbox_.write("out/run.lock", lock.dump().substr(0, 20));
  expect_well(sandbox_.run(resume));
  // Whether a run on another host is still there cannot be known.
  lock["host"] = "elsewhere";
  sandbox_.write("out/run.lock", lock.dump());
  expect_wrong_input(sandbox_.run(resume), {"run.lock", "host \"elsewhere\"", "remove this file"});
}

TEST_F(Disturbed, AFolderThatIsRemovedUnderWayIsOneClearError) {
  Background run(sandbox_, command_);
  ASSERT_TRUE(is_under_way(run)) << run.wait();
  fs::rename(sandbox_ / "out", sandbox_ / "gone");
  const Outcome outcome = run.wait();
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(lines_of(outcome.err).size(), 1U) << outcome.err;
  expect_mentions(outcome.err, {"attnlab: out/", "cannot be written", "the folder must exist"});
  EXPECT_FALSE(fs::exists(sandbox_ / "out"));
}

TEST_F(Disturbed, AFileThatMayNotGrowIsOneClearErrorAndLeavesNothingHalfWritten) {
  // The limit of a file's size stands for a disk that is full: both end a write half-way.
  Background run(sandbox_, command_, [] {
    const rlimit tight{400, 400};
    setrlimit(RLIMIT_FSIZE, &tight);
  });
  const Outcome outcome = run.wait();
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(lines_of(outcome.err).size(), 1U) << outcome.err;
  expect_mentions(outcome.err, {"attnlab: out/", "cannot be written", "File too large"});
  for (const auto& entry : fs::recursive_directory_iterator(sandbox_ / "out"))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
}

TEST_F(Disturbed, AFullDiskIsOneClearErrorAndAResumeGoesOn) {
  fs::create_directory(sandbox_ / "small");
  if (mount("none", (sandbox_ / "small").c_str(), "tmpfs", 0, "size=128k") != 0)
    GTEST_SKIP() << "no small file system can be mounted here";
  const struct Unmount {
    std::string path;
    ~Unmount() { umount(path.c_str()); }
  } unmount{(sandbox_ / "small").string()};
  const Outcome full = sandbox_.run({"run", "study.yaml", "-o", "small/out"});
  EXPECT_EQ(full.exit_code, 2) << full;
  expect_mentions(full.first_error(), {"attnlab: small/out/", "No space left", "free some space"});
  EXPECT_GT(trials_in(sandbox_ / "small/out"), 0U);
  for (const auto& entry : fs::recursive_directory_iterator(sandbox_ / "small"))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  ASSERT_EQ(mount("none", (sandbox_ / "small").c_str(), "tmpfs", MS_REMOUNT, "size=8m"), 0);
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "small/out", "--resume", "--set", "repeats=20"}));
}

TEST_F(Disturbed, AFolderThatCannotBeWrittenToIsWrongInput) {
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "/proc/results"}, {"/proc/results", "cannot be made"});
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "study.yaml"}, {"study.yaml", "is no folder"});
  fs::create_directory(sandbox_ / "closed");
  if (mount("none", (sandbox_ / "closed").c_str(), "tmpfs", MS_RDONLY, "size=64k") != 0)
    GTEST_SKIP() << "no read-only file system can be mounted here";
  const Outcome outcome = sandbox_.run({"run", "study.yaml", "-o", "closed/out"});
  umount((sandbox_ / "closed").c_str());
  expect_wrong_input(outcome, {"closed/out", "Read-only file system"});
}

TEST_F(Disturbed, ResumeNeedsAResultsFolder) {
  sandbox_.write("letters/a.txt", "mine");
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "letters", "--resume"}, {"letters", "is no results folder"});
  expect_refused(sandbox_, {"run", "study.yaml", "--resume"}, {"results/study", "no run of this experiment"});
}

}  // namespace
}  // namespace attnlab::program_test

// A sweep is killed again and again, at instants that a seed draws, the parent mostly and its trial process sometimes,
// and goes on each time with --resume. In the end it is what an undisturbed run gives: no trial missing, none twice,
// none that was done measured again, and figures of quality that are the same to the last byte.
#include <sys/stat.h>

#include <random>

#include <nlohmann/json.hpp>

#include "e2e/background.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

constexpr int kKills = 50;
constexpr unsigned kSeed = 4;

std::string study() {
  std::string text;
  for (int line = 0; line < 14; ++line)
    text += "Line " + std::to_string(line) + " of a text that is long enough to be interrupted somewhere in it.\n";
  return text;
}

Experiment sweep() {
  return {.repeats = "2",
          .arms = "\n  grid:\n    attention: [gqa, mqa]\n    cache: [full, {window: {window: 24}}]",
          .workloads =
              "\n  - perplexity: {text: text.txt, context: 64, prefill: 32}\n"
              "  - perplexity: {text: text.txt, context: 48, prefill: 8}\n"
              "  - generate: {prompt: \"Once upon a time\", tokens: 8}",
          .more = "seed: [1, 2]\nwarmup: 0\nthreads: 2"};
}

struct Stamp {
  ino_t inode;
  std::int64_t seconds, nanoseconds;
  bool operator==(const Stamp&) const = default;
};

// Trials that ended well, by file. Every file that has its name must be whole, whenever the writer was killed.
std::map<std::string, Stamp> done_trials(const fs::path& results) {
  std::map<std::string, Stamp> done;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(results / "trials", none)) {
    if (entry.path().extension() != ".json" || entry.path().filename().string().starts_with('.')) continue;
    const auto trial = nlohmann::json::parse(read_file(entry.path()), nullptr, false);
    EXPECT_FALSE(trial.is_discarded()) << entry.path() << " is half a file";
    if (trial.is_discarded() || trial.at("status") != "ok") continue;
    struct stat about {};
    EXPECT_EQ(stat(entry.path().c_str(), &about), 0);
    done[entry.path().filename().string()] = {about.st_ino, about.st_mtim.tv_sec, about.st_mtim.tv_nsec};
  }
  return done;
}

class Kill : public testing::Test {
 protected:
  void SetUp() override {
    sandbox_.write("text.txt", study());
    sandbox_.write("study.yaml", sweep().yaml());
  }
  static std::vector<std::string> command(const std::string& folder) {
    return {"run", "study.yaml", "-o", folder, "--resume"};
  }
  void expect_as_undisturbed(const std::string& folder) const;

  Sandbox sandbox_;
};

void Kill::expect_as_undisturbed(const std::string& folder) const {
  EXPECT_EQ(quality_rows(sandbox_ / folder), quality_rows(sandbox_ / "undisturbed"));
  const CsvTable samples(read_file(sandbox_ / folder / "samples.csv"));
  EXPECT_EQ(samples.rows(), CsvTable(read_file(sandbox_ / "undisturbed/samples.csv")).rows());
  std::set<std::string> keys;
  for (std::size_t row = 0; row < samples.rows(); ++row) {
    std::string key;
    for (const char* column : {"arm", "workload", "case", "round", "seed", "metric", "window"})
      key += samples.at(row, column) + ",";
    EXPECT_TRUE(keys.insert(key).second) << key << " is there twice";
  }
  std::set<std::string> trials, expected;
  for (const auto& [file, stamp] : done_trials(sandbox_ / folder)) trials.insert(file);
  for (const auto& [file, stamp] : done_trials(sandbox_ / "undisturbed")) expected.insert(file);
  EXPECT_EQ(trials, expected);
  for (const auto& entry : fs::recursive_directory_iterator(sandbox_ / folder))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path() << " was left behind";
  EXPECT_FALSE(fs::exists(sandbox_ / folder / "run.lock"));
}

TEST_F(Kill, AtFiftyInstantsLosesNothingThatWasDoneAndChangesNoFigure) {
  const auto start = std::chrono::steady_clock::now();
  expect_well(sandbox_.run(command("undisturbed")));
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  ASSERT_FALSE(quality_rows(sandbox_ / "undisturbed").empty());
  std::mt19937 random(kSeed);
  int kills = 0;
  int of_children = 0;
  for (int folder = 0; kills < kKills; ++folder) {
    const std::string out = "out" + std::to_string(folder);
    bool finished = false;
    for (int start_number = 0; !finished; ++start_number) {
      ASSERT_LT(start_number, 400) << "the sweep makes no progress";
      const auto before = done_trials(sandbox_ / out);
      Background run(sandbox_, command(out));
      if (kills < kKills) {
        // Anywhere in the first half of what a whole run takes, so that its start and its end are met too.
        const std::chrono::duration<double> when =
            whole * std::uniform_real_distribution<double>(0, kills % 7 == 6 ? 1.0 : 0.4)(random);
        std::this_thread::sleep_for(when);
        if (kills % 5 == 4 && run.child()) {
          kill(*run.child(), SIGKILL);
          ++of_children;
          ++kills;
        } else if (!run.has_ended()) {
          run.signal(SIGKILL);
          ++kills;
        }
      }
      const Outcome outcome = run.wait();
      finished = outcome.exit_code == 0;
      // Killed by us, or ended with the trial that was killed: nothing else may happen.
      EXPECT_TRUE(finished || outcome.signal == SIGKILL || outcome.exit_code == 1) << outcome;
      const auto after = done_trials(sandbox_ / out);
      for (const auto& [file, stamp] : before)
        EXPECT_TRUE(after.contains(file) && after.at(file) == stamp) << file << " was done, and was measured again";
      ASSERT_FALSE(HasFailure()) << "seed " << kSeed << ", kill " << kills;
    }
    expect_as_undisturbed(out);
  }
  EXPECT_GT(of_children, 0);
}

}  // namespace
}  // namespace attnlab::program_test

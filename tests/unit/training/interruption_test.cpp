// What is left of the files of a training when its process is killed at any instant: a whole state, a curve that goes
// on from it, and a whole checkpoint.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "model/checkpoints/checkpoint.h"
#include "training/kept_state.h"
#include "training/trained_checkpoint.h"
#include "training/training_csv.h"
#include "unit/model_test_files.h"
#include "unit/training/training_samples.h"

namespace attnlab::training {
namespace {

namespace fs = std::filesystem;
using training_test::SampleTensors;

constexpr int kKills = 20;
const Belonging kBelonging{{"the file", "a"}};

// Every number of a tensor is the step that wrote it.
struct SmallTraining {
  fs::path folder;
  std::vector<float> numbers = std::vector<float>(50'000);

  [[nodiscard]] fs::path state() const { return folder / "state.safetensors"; }
  [[nodiscard]] fs::path csv() const { return folder / "training.csv"; }
  [[nodiscard]] fs::path checkpoint() const { return folder / "checkpoint"; }

  void keep(TrainingCsv& rows, std::int64_t step) {
    std::ranges::fill(numbers, static_cast<float>(step));
    StateWriter writer;
    writer.add("masters", numbers);
    writer.write(state(), {.belongs_to = kBelonging, .step = step, .csv_bytes = rows.sync()});
    const TrainedTensor tensor{"w", {static_cast<std::int64_t>(numbers.size())}, numbers, numbers};
    write_checkpoint(checkpoint(), {.config = {{"step", step}}}, {&tensor, 1});
  }

  // Until it is killed.
  [[noreturn]] void go_on(TrainingCsv rows, std::int64_t step) {
    for (;;) {
      rows.add({.step = ++step, .loss = 1.0 / static_cast<double>(step)});
      if (step % 3 == 0) keep(rows, step);
    }
  }
};

bool all_are(const std::vector<float>& numbers, float value) {
  return std::ranges::all_of(numbers, [value](float number) { return number == value; });
}

TEST(AKilledTraining, LeavesAWholeStateACurveThatGoesOnAndAWholeCheckpoint) {
  const model_test::TempFolder place;
  SmallTraining run{place.path()};
  SplitMix64 random(11);
  std::int64_t step = 0;
  std::int64_t last_checkpoint = 0;
  std::uintmax_t bytes = 0;
  {
    TrainingCsv rows = TrainingCsv::begin(run.csv());
    run.keep(rows, 0);
    bytes = rows.sync();
  }
  for (int kill = 0; kill < kKills; ++kill) {
    SCOPED_TRACE(kill);
    const pid_t child = fork();
    if (child == 0) run.go_on(TrainingCsv::resume(run.csv(), bytes), step);
    // However slow the disk is, a state is kept; the instant after it is random.
    for (int wait = 0; wait < 20'000 && StateReader::open(run.state(), kBelonging).facts().step == step; ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(20'000)));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);

    const StateReader state = StateReader::open(run.state(), kBelonging);
    state.read("masters", run.numbers);
    EXPECT_GE(state.facts().step, step);
    step = state.facts().step;
    bytes = state.facts().csv_bytes;
    EXPECT_TRUE(all_are(run.numbers, static_cast<float>(step)));

    const model::Checkpoint checkpoint = model::Checkpoint::open(run.checkpoint());
    model::read_f32(*checkpoint.find("w"), run.numbers);
    const auto written = static_cast<std::int64_t>(run.numbers.front());
    EXPECT_GE(written, last_checkpoint);
    EXPECT_LE(written, step);
    last_checkpoint = written;
    EXPECT_TRUE(all_are(run.numbers, static_cast<float>(written)));
  }
  EXPECT_GE(step, 3 * kKills) << "a process kept nothing";
  { const TrainingCsv rows = TrainingCsv::resume(run.csv(), bytes); }
  std::ifstream file(run.csv());
  std::string line;
  std::getline(file, line);
  for (std::int64_t expected = 1; expected <= step; ++expected) {
    ASSERT_TRUE(std::getline(file, line)) << expected;
    EXPECT_TRUE(line.starts_with(std::to_string(expected) + ",")) << line;
  }
  EXPECT_FALSE(std::getline(file, line)) << line;
}

}  // namespace
}  // namespace attnlab::training

#include "training/kept_state.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <fstream>
#include <limits>

#include <gtest/gtest.h>

#include "base/process_name.h"
#include "report/read/text_file.h"
#include "unit/model_test_files.h"
#include "unit/training/training_samples.h"

namespace attnlab::training {
namespace {

using model_test::refusal;
using training_test::SmallDisk;

const Belonging kBelonging{{"the file", "a1"}, {"the model", "b2"}};
constexpr const char* kRemedy = "begin anew without --resume, or resume the training that it belongs to";

class KeptState : public testing::Test {
 protected:
  KeptState() {
    for (std::size_t i = 0; i < first_.size(); ++i) first_[i] = std::sin(static_cast<float>(i));
    second_ = {std::numeric_limits<float>::quiet_NaN(), -0.0F, std::numeric_limits<float>::denorm_min()};
  }

  void write(std::int64_t step) {
    StateWriter writer;
    writer.add("masters|a", first_);
    writer.add("moments|a", second_);
    writer.write(path(), {.belongs_to = kBelonging, .step = step, .csv_bytes = 123, .loop = {{"tokens", 1.0 / 3}}});
  }
  [[nodiscard]] std::filesystem::path path() const { return folder_.path() / "state.safetensors"; }
  [[nodiscard]] std::string told(const std::string& what) const { return path().string() + ": " + what; }
  [[nodiscard]] std::string refusal_of(const Belonging& belonging) const {
    return refusal([&] { (void)StateReader::open(path(), belonging); });
  }

  model_test::TempFolder folder_;
  std::vector<float> first_ = std::vector<float>(1000);
  std::vector<float> second_;
};

TEST_F(KeptState, ComesBackWithTheSameBits) {
  write(7);
  const StateReader state = StateReader::open(path(), kBelonging);
  EXPECT_EQ(state.facts().step, 7);
  EXPECT_EQ(state.facts().csv_bytes, 123U);
  EXPECT_EQ(state.facts().loop.at("tokens").get<double>(), 1.0 / 3);
  std::vector<float> first(first_.size());
  std::vector<float> second(second_.size());
  state.read("masters|a", first);
  state.read("moments|a", second);
  EXPECT_TRUE(training_test::same_bits({first, second}, {first_, second_}));
}

TEST_F(KeptState, OfAnotherTrainingIsRefusedAndSaysWhatDiffers) {
  write(7);
  EXPECT_EQ(refusal_of({{"the file", "a1"}, {"the model", "b3"}}),
            told("was kept by another training, which differs in the model; ") + kRemedy);
  EXPECT_EQ(refusal_of({{"the data", "c"}, {"the file", "a2"}, {"the model", "b2"}}),
            told("was kept by another training, which differs in the data, the file; ") + kRemedy);
}

TEST_F(KeptState, ThatIsCutIsRefusedWhereverItIsCut) {
  write(7);
  const std::string whole = report::read_text(path());
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{5}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    folder_.write("state.safetensors", whole.substr(0, length));
    const std::string what = refusal_of(kBelonging);
    EXPECT_TRUE(what.starts_with(path().string() + ": ")) << length << ": " << what;
  }
}

TEST_F(KeptState, WhoseNumbersWereChangedIsRefused) {
  write(7);
  std::string whole = report::read_text(path());
  const std::string bytes(reinterpret_cast<const char*>(first_.data()), first_.size() * sizeof(float));
  const std::size_t at = whole.find(bytes);
  ASSERT_NE(at, std::string::npos);
  whole[at + 400] ^= 1;
  folder_.write("state.safetensors", whole);
  const StateReader state = StateReader::open(path(), kBelonging);
  std::vector<float> first(first_.size());
  EXPECT_EQ(refusal([&] { state.read("masters|a", first); }),
            told("is damaged: \"masters|a\" is not as it was written; ") + kRemedy);
}

TEST_F(KeptState, WithoutWhatIsAskedForIsRefused) {
  write(7);
  const StateReader state = StateReader::open(path(), kBelonging);
  std::vector<float> numbers(3);
  EXPECT_EQ(refusal([&] { state.read("moments|b", numbers); }), told("does not hold \"moments|b\"; ") + kRemedy);
  EXPECT_EQ(refusal([&] { state.read("masters|a", numbers); }),
            told("holds 4000 bytes of \"masters|a\", expected 3 numbers; ") + kRemedy);
}

TEST_F(KeptState, IsNoOtherTensorsFile) {
  folder_.write("state.safetensors",
                model_test::safetensors_text(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  EXPECT_EQ(refusal_of(kBelonging), told("is no kept state of a training; ") + kRemedy);
}

TEST_F(KeptState, StaysAsItWasOnAFullDisk) {
  write(7);
  {
    const SmallDisk disk(2000);
    EXPECT_EQ(refusal([&] { write(8); }), told("cannot be written: File too large"));
  }
  EXPECT_EQ(StateReader::open(path(), kBelonging).facts().step, 7);
  write(9);
  EXPECT_EQ(StateReader::open(path(), kBelonging).facts().step, 9);
}

TEST_F(KeptState, RemovesWhatKilledWritersLeftAndNothingElse) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  const auto left = folder_.write(".attnlab." + host_token() + "-" + std::to_string(child) + ".0.tmp", "half a state");
  const auto running = folder_.write(".attnlab." + process_name() + ".77.tmp", "being written");
  // Of another machine: whether it lives is not known here.
  const auto elsewhere = folder_.write(".attnlab.0-" + std::to_string(child) + ".0.tmp", "being written");
  const auto other = folder_.write("notes.tmp", "");
  write(7);
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(running));
  EXPECT_TRUE(std::filesystem::exists(elsewhere));
  EXPECT_TRUE(std::filesystem::exists(other));
}

}  // namespace
}  // namespace attnlab::training

#include "training/training_csv.h"

#include <gtest/gtest.h>

#include "report/read/text_file.h"
#include "unit/model_test_files.h"
#include "unit/training/training_samples.h"

namespace attnlab::training {
namespace {

using model_test::refusal;

const std::string kHeader = "step,loss,gradient_norm,learning_rate,tokens,seconds\n";

class TrainingCsvFile : public testing::Test {
 protected:
  [[nodiscard]] std::filesystem::path path() const { return folder_.path() / "training.csv"; }
  [[nodiscard]] std::string text() const { return report::read_text(path()); }

  model_test::TempFolder folder_;
};

TEST_F(TrainingCsvFile, HoldsEveryRowAsSoonAsItIsAdded) {
  TrainingCsv csv = TrainingCsv::begin(path());
  EXPECT_EQ(text(), kHeader);
  csv.add({.step = 1, .loss = 5.5, .gradient_norm = 1.0 / 3, .learning_rate = 0.001, .tokens = 128, .seconds = 0.5});
  EXPECT_EQ(text(), kHeader + "1,5.5,0.3333333333333333,0.001,128,0.500000\n");
  csv.add({.step = 2, .loss = 2e-7, .gradient_norm = 1e30, .learning_rate = 3e-3, .tokens = 256, .seconds = 1e4});
  EXPECT_EQ(text(), kHeader + "1,5.5,0.3333333333333333,0.001,128,0.500000\n2,2e-07,1e+30,0.003,256,10000.000000\n");
  EXPECT_EQ(csv.sync(), text().size());
}

TEST_F(TrainingCsvFile, GoesOnAfterTheRowsOfTheState) {
  TrainingCsv csv = TrainingCsv::begin(path());
  csv.add({.step = 1});
  const std::uintmax_t bytes = csv.sync();
  const std::string kept = text();
  csv.add({.step = 2});
  csv.add({.step = 3});
  TrainingCsv resumed = TrainingCsv::resume(path(), bytes);
  EXPECT_EQ(text(), kept);
  resumed.add({.step = 2, .tokens = 9});
  EXPECT_EQ(text(), kept + "2,0,0,0,9,0.000000\n");
}

TEST_F(TrainingCsvFile, BeginsAnewInPlaceOfAnother) {
  TrainingCsv::begin(path()).add({.step = 1});
  const TrainingCsv csv = TrainingCsv::begin(path());
  EXPECT_EQ(text(), kHeader);
}

TEST_F(TrainingCsvFile, ThatIsNotTheStatesIsRefusedAndStays) {
  TrainingCsv csv = TrainingCsv::begin(path());
  csv.add({.step = 1});
  const std::string whole = text();
  const std::string told =
      path().string() +
      ": is not the file that the kept state continues; put the file back, or begin anew without --resume";
  for (const std::uintmax_t bytes : {std::uintmax_t{0}, whole.size() - 1, whole.size() + 10})
    EXPECT_EQ(refusal([&] { (void)TrainingCsv::resume(path(), bytes); }), told) << bytes;
  EXPECT_EQ(text(), whole);
  folder_.write("training.csv", std::string(whole.size() - 1, 'x') + "\n");
  EXPECT_EQ(refusal([&] { (void)TrainingCsv::resume(path(), whole.size()); }), told);
}

TEST_F(TrainingCsvFile, ThatCannotBeWrittenIsOneClearError) {
  const auto nowhere = folder_.path() / "gone" / "training.csv";
  EXPECT_EQ(refusal([&] { (void)TrainingCsv::begin(nowhere); }),
            nowhere.string() + ": cannot be written: No such file or directory");
  TrainingCsv csv = TrainingCsv::begin(path());
  const training_test::SmallDisk disk(60);
  EXPECT_EQ(refusal([&] { csv.add({.step = 1}); }), path().string() + ": cannot be written: File too large");
}

}  // namespace
}  // namespace attnlab::training

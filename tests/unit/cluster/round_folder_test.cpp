// A round appears as a whole, once, whoever measured it and whoever died meanwhile.
#include "cluster/round_folder.h"

#include <gtest/gtest.h>

#include "golden/program.h"

namespace attnlab::cluster {
namespace {

namespace fs = std::filesystem;

class RoundFolder : public testing::Test {
 protected:
  RoundFolder() {
    fs::create_directories(submission_ / "rounds");
    fs::create_directories(results_ / "trials");
  }
  void measure(const fs::path& own, const std::string& trial, const std::string& text) const {
    std::ofstream(own / "trials" / (trial + ".json")) << text;
  }
  [[nodiscard]] std::string trial(const std::string& name) const {
    const fs::path file = results_ / "trials" / (name + ".json");
    return fs::exists(file) ? program_test::read_file(file) : "";
  }

  program_test::Sandbox sandbox_;
  const fs::path results_ = sandbox_ / "results", submission_ = sandbox_ / "results/jobs/0";
};

TEST_F(RoundFolder, IsThatOfTheFirstJobThatEnds) {
  const fs::path one = begin_round(submission_, 3, "one"), two = begin_round(submission_, 3, "two");
  measure(one, "a", "of one");
  measure(two, "a", "of two");
  EXPECT_FALSE(is_round_there(submission_, 3));
  write_round_file(two, {.node = "n2", .records = {}, .warmup = {}, .roof = {}});
  EXPECT_TRUE(end_round(submission_, 3, two));
  EXPECT_TRUE(is_round_there(submission_, 3));
  write_round_file(one, {.node = "n1", .records = {}, .warmup = {}, .roof = {}});
  EXPECT_FALSE(end_round(submission_, 3, one));
  publish_round(submission_, 3, results_);
  publish_round(submission_, 3, results_);
  EXPECT_EQ(trial("a"), "of two");
  EXPECT_EQ(read_round_file(submission_ / "rounds/3")->node, "n2");
  // Also once its trials have been moved.
  const fs::path late = begin_round(submission_, 3, "late");
  measure(late, "a", "late");
  write_round_file(late, {});
  EXPECT_FALSE(end_round(submission_, 3, late));
  publish_round(submission_, 3, results_);
  EXPECT_EQ(trial("a"), "of two");
}

TEST_F(RoundFolder, IsRescuedFromTheJobThatCameFurthest) {
  const fs::path one = begin_round(submission_, 0, "one"), two = begin_round(submission_, 0, "two");
  begin_round(submission_, 10, "of another round");
  measure(one, "a", "of one");
  measure(two, "a", "of two");
  measure(two, "b", "of two");
  rescue_round(submission_, 0, results_);
  EXPECT_EQ(trial("a"), "of two");
  EXPECT_EQ(trial("b"), "of two");
  EXPECT_TRUE(is_round_there(submission_, 0));
  rescue_round(submission_, 10, results_);
  EXPECT_FALSE(is_round_there(submission_, 10)) << "nothing was measured";
}

TEST_F(RoundFolder, WithADamagedRecordHasNone) {
  const fs::path own = begin_round(submission_, 1, "job");
  std::ofstream(own / "round.json") << "{\"node\": ";
  EXPECT_FALSE(read_round_file(own).has_value());
}

}  // namespace
}  // namespace attnlab::cluster

// Who resumes while jobs are at work submits nothing that is on its way.
#include "cluster/earlier_jobs.h"

#include <gtest/gtest.h>

#include "golden/program.h"

namespace attnlab::cluster {
namespace {

namespace fs = std::filesystem;

class EarlierJobsOfAFolder : public testing::Test {
 protected:
  EarlierJobsOfAFolder() { fs::create_directories(trials_); }
  void leave(const std::string& trial) const { std::ofstream(trials_ / (trial + ".json")) << "{}"; }
  [[nodiscard]] EarlierJobs now(const std::string& state) const {
    return EarlierJobs({{.name = "a-1", .array = "7", .task = 3, .state = state}}, trials_);
  }
  [[nodiscard]] bool will_leave_more(const EarlierJobs& jobs) const {
    return jobs.will_leave_more(submission_, 5, {"first", "second"});
  }

  program_test::Sandbox sandbox_;
  const fs::path trials_ = sandbox_ / "trials";
  // Unit 5 is the second of an array whose first element is 2.
  const Submission submission_{
      .number = 0,
      .units = std::vector<Unit>(7),
      .arrays = {{.name = "a-0", .job = "6", .first = 0, .count = 4, .first_task = 0},
                 {.name = "a-1", .job = "7", .first = 4, .count = 3, .first_task = 2}},
  };
};

TEST_F(EarlierJobsOfAFolder, AreAwaitedWhereTheyRunOrWait) {
  leave("first");
  leave("second");  // failed, and its job tries it again
  for (const char* state : {"RUNNING", "PENDING", "COMPLETING", "REQUEUED"})
    EXPECT_TRUE(will_leave_more(now(state))) << state;
}

TEST_F(EarlierJobsOfAFolder, AreOverWhereSlurmEndedThemOrKnowsThemNoMore) {
  leave("first");
  for (const char* state : {"FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT"})
    EXPECT_FALSE(will_leave_more(now(state))) << state;
  EXPECT_FALSE(will_leave_more(EarlierJobs({}, trials_)));
  EXPECT_FALSE(will_leave_more(EarlierJobs({{.name = "a-0", .array = "6", .task = 3, .state = "RUNNING"}}, trials_)))
      << "another array";
}

TEST_F(EarlierJobsOfAFolder, MayHaveEndedWellWithoutThatAllIsSeenHere) {
  leave("first");
  EXPECT_TRUE(will_leave_more(now("COMPLETED")));
  leave("second");
  EXPECT_FALSE(will_leave_more(now("COMPLETED"))) << "all was there, and not all of it good";
}

TEST_F(EarlierJobsOfAFolder, LeaveResultsWhileTheFolderIsRead) {
  leave("first");
  const EarlierJobs running = now("RUNNING"), completed = now("COMPLETED");
  leave("second");  // behind the back of who read the first only
  EXPECT_TRUE(will_leave_more(running));
  EXPECT_TRUE(will_leave_more(completed));
}

TEST_F(EarlierJobsOfAFolder, LeaveTheRecordOfATrainingThatIsNotAmongTheTrials) {
  EXPECT_TRUE(now("COMPLETED").will_leave_more(submission_, 5, {}));
  EXPECT_FALSE(now("FAILED").will_leave_more(submission_, 5, {}));
}

}  // namespace
}  // namespace attnlab::cluster

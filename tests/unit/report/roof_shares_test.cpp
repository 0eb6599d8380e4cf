// Shares of a roof: of the one that was measured beside a trial, else of the best one of the run; and none where the
// roof would be another one.
#include <gtest/gtest.h>

#include "report/pages/results_folder.h"
#include "report/summary/results.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

class RoofShares : public testing::Test {
 protected:
  // A prefill of 300 FLOP/s and steps that read 60 bytes/s, in a run whose best roofs are 400 and 100.
  double share(const std::string& metric, const nlohmann::json& details) {
    const Folder folder;
    const StudyLayout study = layout({arm("mha")});
    write_plainly(folder / "environment.json",
                  nlohmann::json{{"study", study},
                                 {"caches", {{"l3_bytes", 10}}},
                                 {"roof", {{"fma_flops_per_second", 400.0}, {"read_bytes_per_second", 100.0}}}}
                      .dump());
    std::filesystem::create_directories(folder / "trials");
    TrialResult result = trial(arm("mha"), 0,
                               {{"operations_per_second", "FLOP/s", "higher", 300, false},
                                {"bytes_read_per_second", "bytes/s", "higher", 60, false}});
    result.id = "one";
    result.details = details;
    result.details["bytes_per_step"] = 41.0;  // more than four times the L3
    write_trial(folder / "trials", result);
    const Results results = read_results(folder.path());
    for (const SummaryRow& row : results.summary.rows)
      if (row.metric == metric) return row.estimate.median;
    return 0;
  }
};

TEST_F(RoofShares, AreOfTheRoofBesideTheTrial) {
  const nlohmann::json details{{"roof", {{"fma_flops_per_second", 320.0}, {"read_bytes_per_second", 80.0}}}};
  EXPECT_DOUBLE_EQ(share("share_of_fma_peak", details), 300.0 / 320);
  EXPECT_DOUBLE_EQ(share("share_of_read_bandwidth", details), 60.0 / 80);
}

TEST_F(RoofShares, AreOfTheBestRoofOfTheRunWhereNoneIsBeside) {
  EXPECT_DOUBLE_EQ(share("share_of_fma_peak", {}), 300.0 / 400);
  const nlohmann::json details{{"roof", {{"fma_flops_per_second", 320.0}, {"read_bytes_per_second", 0.0}}}};
  EXPECT_DOUBLE_EQ(share("share_of_read_bandwidth", details), 60.0 / 100) << "no memory for the probe";
}

TEST_F(RoofShares, OfBf16AreOfItsOwnRoofAlone) {
  nlohmann::json details{{"compute", "bf16"}, {"roof", {{"bf16_flops_per_second", 750.0}}}};
  EXPECT_DOUBLE_EQ(share("share_of_bf16_peak", details), 300.0 / 750);
  EXPECT_EQ(share("share_of_fma_peak", details), 0);
  details.erase("roof");
  EXPECT_EQ(share("share_of_bf16_peak", details), 0) << "the run's roof is that of f32";
  EXPECT_EQ(share("share_of_bf16_peak", {}), 0);
}

TEST_F(RoofShares, OfOtherThreadsNeedARoofOfTheirOwn) {
  EXPECT_EQ(share("share_of_fma_peak", {{"threads", 1}}), 0);
  EXPECT_DOUBLE_EQ(share("share_of_fma_peak", {{"threads", 1}, {"roof", {{"fma_flops_per_second", 310.0}}}}),
                   300.0 / 310);
}

}  // namespace
}  // namespace attnlab::report::test

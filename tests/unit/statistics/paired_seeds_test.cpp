// What seeds allow to say: marks that are false in one of twenty families at most, none below five pairs, and trained
// weights on a text judged by the seeds and by the text.
#include "report/statistics/paired_seeds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "report/pages/verdict_words.h"
#include "report/summary/compare.h"
#include "report/summary/results.h"
#include "unit/training_samples.h"

namespace attnlab::report::test {
namespace {

PairedValues seeds_of(const std::vector<double>& values) {
  PairedValues pairs;
  for (std::size_t i = 0; i < values.size(); ++i) pairs[{static_cast<std::int64_t>(i), 0}] = values[i];
  return pairs;
}

// Student's 97.5 % quantile with 4 degrees of freedom is 2.776445; of the logarithms 0.1 .. 0.5 the standard error is
// 0.0707107.
TEST(PairedSeeds, HaveStudentsIntervalOfTheLogRatioFromFivePairsOn) {
  std::vector<double> mine, ones(5, 1.0);
  for (int i = 1; i <= 5; ++i) mine.push_back(std::exp(0.1 * i));
  const std::optional<SeedsEstimate> found = paired_seeds(seeds_of(mine), seeds_of(ones), 1);
  ASSERT_TRUE(found && found->is_ratio && found->estimate.interval);
  EXPECT_EQ(found->estimate.n, 5);
  EXPECT_NEAR(found->estimate.median, std::exp(0.3), 1e-12);
  EXPECT_NEAR(std::log(found->estimate.interval->low), 0.3 - 2.776445 * 0.0707107, 1e-5);
  EXPECT_NEAR(std::log(found->estimate.interval->high), 0.3 + 2.776445 * 0.0707107, 1e-5);
  EXPECT_TRUE(found->estimate.interval->is_confident());
  const Interval wider = *paired_seeds(seeds_of(mine), seeds_of(ones), 3)->estimate.interval;
  EXPECT_LT(wider.low, found->estimate.interval->low);
  EXPECT_GT(wider.high, found->estimate.interval->high);
}

TEST(PairedSeeds, BelowFivePairsHaveARangeThatMarksNothing) {
  for (int n = 1; n < kLeastSeedsForMarks; ++n) {
    std::vector<double> mine, ones(static_cast<std::size_t>(n), 1.0);
    for (int i = 0; i < n; ++i) mine.push_back(2.0 + i);
    const std::optional<SeedsEstimate> found = paired_seeds(seeds_of(mine), seeds_of(ones), 1);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->estimate.n, n);
    EXPECT_EQ(found->estimate.interval.has_value(), n > 1);
    if (n > 1) {
      EXPECT_EQ(*found->estimate.interval, (Interval{2, 1.0 + n, 1 - std::exp2(1 - n)}));
    }
  }
  EXPECT_FALSE(paired_seeds(seeds_of({}), seeds_of({1}), 1));
  EXPECT_FALSE(paired_seeds(seeds_of({std::nan("")}), seeds_of({1}), 1)) << "a figure that is no number has no pair";
}

TEST(PairedSeeds, OfFiguresThatHaveNoRatioAreDifferences) {
  const std::optional<SeedsEstimate> found =
      paired_seeds(seeds_of({0.11, 0.12, 0.1, 0.13, 0.12}), seeds_of({0.01, 0, -0.01, 0.02, 0.01}), 1);
  ASSERT_TRUE(found && found->estimate.interval);
  EXPECT_FALSE(found->is_ratio);
  EXPECT_NEAR(found->estimate.median, 0.11, 1e-12);
  EXPECT_GT(found->estimate.interval->low, 0.09);
  EXPECT_LT(found->estimate.interval->high, 0.13);
}

// Four arms that differ from the baseline by nothing: at most one family in twenty has any mark.
TEST(PairedSeeds, MarkNothingFalselyMoreOftenThanTheySay) {
  std::mt19937 random(11);
  std::normal_distribution<double> chance(0, 0.03);
  constexpr int kFamilies = 2000, kArms = 4;
  int marked = 0, found = 0;
  for (int family = 0; family < kFamilies; ++family) {
    std::vector<double> baseline(5);
    for (double& value : baseline) value = std::exp(chance(random));
    bool has_mark = false;
    for (int arm = 0; arm <= kArms; ++arm) {
      const double planted = arm == kArms ? 0.2 : 0;
      std::vector<double> mine(5);
      for (double& value : mine) value = std::exp(planted + chance(random));
      const Interval interval = *paired_seeds(seeds_of(mine), seeds_of(baseline), kArms)->estimate.interval;
      const bool is_marked = interval.low > 1 || interval.high < 1;
      if (arm == kArms)
        found += is_marked;
      else
        has_mark |= is_marked;
    }
    marked += has_mark;
  }
  const double error = 3 * std::sqrt(0.05 * 0.95 / kFamilies);
  EXPECT_LE(marked / double(kFamilies), 0.05 + error);
  EXPECT_GE(found / double(kFamilies), 0.9) << "a difference of five deviations";
}

Results results_of(const StudyLayout& study, const std::vector<TrialResult>& trials) {
  Results results;
  results.environment = nlohmann::json::object();
  results.trials = trials;
  results.layout = completed(study, trials);
  results.summary = summarise(results.layout, trials);
  return results;
}

const SummaryRow& row_of(const Results& results, const std::string& arm, const std::string& metric) {
  for (const SummaryRow& row : results.summary.rows)
    if (row.arm == arm && row.metric == metric) return row;
  throw std::runtime_error("no row of " + arm + " " + metric);
}

bool has_family(const Results& results, const std::string& metric, const std::string& unit, int there, int needed) {
  return std::ranges::any_of(results.summary.families, [&](const Family& family) {
    return family.metric == metric && family.unit() == unit && family.rounds == there && family.rounds_needed == needed;
  });
}

std::string words_of(const Results& results) {
  std::string all;
  for (const std::string& sentence : verdict(results)) all += sentence + "\n";
  return all;
}

TEST(TrainedArms, AreComparedSeedBySeedFromFiveOn) {
  for (const int seeds : {1, 3, 4, 5, 8}) {
    const Results results = results_of(trained_study(seeds), trained_trials(seeds));
    const SummaryRow& loss = row_of(results, "linear/full", "validation_loss");
    EXPECT_EQ(loss.estimate.n, seeds);
    ASSERT_TRUE(loss.ratio);
    EXPECT_EQ(loss.ratio->n, seeds);
    EXPECT_EQ(loss.is_marked, seeds >= 5) << seeds;
    EXPECT_TRUE(has_family(results, "validation_loss", "seeds", seeds, 5));
    EXPECT_FALSE(row_of(results, "mha/short", "validation_loss").is_marked) << "the same training";
    const std::string words = words_of(results);
    EXPECT_NE(words.find("the same training as mha/full"), std::string::npos) << words;
    if (seeds == 1)
      EXPECT_NE(words.find("1 seed is too few for a verdict"), std::string::npos) << words;
    else if (seeds < 5)
      EXPECT_NE(words.find(fmt::format("{} seeds are too few for a verdict", seeds)), std::string::npos) << words;
    else
      EXPECT_NE(words.find("worse accuracy after training: "), std::string::npos) << words;
  }
}

TEST(TrainedArms, HaveADifferenceWhereAFigureIsZeroOrBelow) {
  std::vector<TrialResult> trials;
  for (int seed = 1; seed <= 5; ++seed)
    for (const ArmLayout& one : trained_arms()) {
      trials.push_back(train_trial(one, seed, 1));
      const double above = one.attention == "linear" ? 0.2 + 0.001 * seed : 0.001 * (seed - 3);
      trials.back().samples = {{"nats_above_optimum", "nats", "lower", above, true}};
    }
  const Results results = results_of(trained_study(5), trials);
  const SummaryRow& row = row_of(results, "linear/full", "nats_above_optimum");
  EXPECT_FALSE(row.ratio);
  ASSERT_TRUE(row.difference);
  EXPECT_NEAR(row.difference->median, 0.203, 1e-12);
  EXPECT_TRUE(row.is_marked);
  EXPECT_NE(words_of(results).find("worse above optimum after training: 0.203 against 0, a difference of +0.203 ["),
            std::string::npos)
      << words_of(results);
}

// A text of 120 windows whose perplexity differs by `more` nats a token, give or take what each seed is worth.
TrialResult text_of(const ArmLayout& arm, int seed, double more) {
  std::vector<double> nll;
  double sum = 0;
  for (int i = 0; i < 120; ++i) {
    nll.push_back(100 * (3 + 0.1 * (i % 7) + more));
    sum += nll.back();
  }
  TrialResult result = trial(arm, 0, {{"perplexity", "", "lower", std::exp(sum / 12000), true}});
  result.id += fmt::format("-text-{}", seed);
  result.workload = "perplexity";
  result.case_name = "";
  result.seed = seed;
  result.details["windows"] = {{"tokens", std::vector<double>(120, 100)}, {"nll", nll}};
  return result;
}

TEST(TrainedArms, HaveAPerplexityWhoseIntervalHoldsTheSeedsAndTheText) {
  const auto results_with = [](int seeds, double spread, bool are_trained) {
    std::vector<TrialResult> trials;
    for (int seed = 1; seed <= seeds; ++seed)
      for (const ArmLayout& one : trained_arms()) {
        const double chance = spread * (seed * 3 % 5 - 2);
        trials.push_back(text_of(one, seed, one.attention == "linear" ? 0.1 + chance : 0));
      }
    StudyLayout study = trained_study(seeds);
    study.cases = {{"perplexity", ""}};
    if (!are_trained) study.trainings.clear();
    return results_of(study, trials);
  };
  const auto interval_of = [](const Results& results) {
    return *row_of(results, "linear/full", "perplexity").ratio->interval;
  };
  const Results calm = results_with(5, 0.001, true), wild = results_with(5, 0.1, true);
  EXPECT_TRUE(row_of(calm, "linear/full", "perplexity").is_marked);
  EXPECT_FALSE(row_of(wild, "linear/full", "perplexity").is_marked) << "seeds differ by more than the arms";
  EXPECT_TRUE(has_family(wild, "perplexity", "windows of text", 120, 100));
  const Interval of_text = interval_of(results_with(5, 0.1, false));
  EXPECT_LT(interval_of(wild).low, of_text.low);
  EXPECT_GT(interval_of(wild).high, of_text.high);
  EXPECT_LT(row_of(wild, "linear/full", "perplexity").estimate.interval->low,
            row_of(results_with(5, 0.1, false), "linear/full", "perplexity").estimate.interval->low);
  for (const int seeds : {1, 3, 4}) {
    const Results few = results_with(seeds, 0.001, true);
    EXPECT_FALSE(row_of(few, "linear/full", "perplexity").is_marked) << seeds;
    EXPECT_TRUE(has_family(few, "perplexity", "seeds", seeds, 5));
    EXPECT_NE(words_of(few).find(seeds == 1 ? "1 seed is too few for a verdict on perplexity; 5 would do."
                                            : fmt::format("{} seeds are too few for a verdict on perplexity; 5 would "
                                                          "do.",
                                                          seeds)),
              std::string::npos)
        << words_of(few);
    EXPECT_TRUE(row_of(results_with(seeds, 0.001, false), "linear/full", "perplexity").is_marked)
        << "weights that were not trained here are as they are";
  }
}

const ComparedRow& compared_of(const Comparison& comparison, const std::string& metric) {
  const auto found = std::ranges::find_if(
      comparison.rows, [&](const ComparedRow& row) { return row.arm == "linear/full" && row.metric == metric; });
  if (found == comparison.rows.end()) throw std::runtime_error("no row of " + metric);
  return *found;
}

TEST(TrainedArms, OfTwoRunsAreComparedSeedBySeed) {
  for (const int seeds : {3, 6}) {
    StudyLayout study = trained_study(seeds);
    study.model = {.path = "m", .weights = "seed", .config_sha256 = "1", .weights_sha256 = "2"};
    const Results a = results_of(study, trained_trials(seeds));
    const Comparison same = compare(a, a);
    EXPECT_EQ(compared_of(same, "validation_loss").change, Change::none);
    std::vector<TrialResult> worse = trained_trials(seeds), noisy = worse;
    for (std::size_t i = 0; i < worse.size(); ++i) {
      if (worse[i].workload != "train") continue;
      worse[i].samples[0].value *= 1.1 + 0.001 * static_cast<double>(worse[i].seed);
      noisy[i].samples[0].value *= worse[i].seed % 2 == 0 ? 1.1 : 0.91;
    }
    const Comparison of_worse = compare(a, results_of(study, worse)), of_noisy = compare(a, results_of(study, noisy));
    const ComparedRow& row = compared_of(of_worse, "validation_loss");
    EXPECT_FALSE(row.is_exact);
    EXPECT_EQ(row.change, seeds < 5 ? Change::unclear : Change::worse);
    EXPECT_EQ(row.few_seeds, seeds < 5 ? seeds : -1);
    EXPECT_EQ(of_worse.has_regression(0.05), seeds >= 5);
    EXPECT_EQ(compared_of(of_noisy, "validation_loss").change, Change::unclear);
    const std::string text = compare_text(of_worse, {"A", "B"}, 0, true);
    EXPECT_EQ(text.find("3 seeds are too few") != std::string::npos, seeds == 3) << text;
  }
}

}  // namespace
}  // namespace attnlab::report::test

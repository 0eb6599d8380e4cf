// summary.csv is what other programs read: its columns, its order, its pairing and its quoting are a contract.
#include "report/summary/summary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "report/read/csv.h"
#include "report/summary/stopping.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

const ArmLayout kMha = arm("mha");
const ArmLayout kGqa = arm("gqa");

Summary summary_of(const StudyLayout& study, const std::vector<TrialResult>& trials) {
  return summarise(completed(study, trials), trials);
}

const SummaryRow& row_of(const Summary& summary, const ArmLayout& arm, const std::string& metric) {
  for (const SummaryRow& row : summary.rows)
    if (row.arm == arm.name && row.metric == metric) return row;
  throw std::runtime_error("no row of " + arm.name + " " + metric);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

TEST(Summary, MediansAreOverRoundsAndRatiosWithinThem) {
  std::vector<TrialResult> trials;
  for (int round = 0; round < 7; ++round) {
    const double machine = round % 2 == 0 ? 1 : 0.5;  // every other round is disturbed
    trials.push_back(trial(kMha, round, {prefill(100 * machine)}));
    trials.push_back(trial(kGqa, round, {prefill((130 + round) * machine)}));
  }
  const Summary summary = summary_of(layout({kMha, kGqa}), trials);
  ASSERT_EQ(summary.rows.size(), 2u);
  const SummaryRow& gqa = row_of(summary, kGqa, "prefill_tokens_per_second");
  EXPECT_EQ(gqa.estimate.n, 7);
  EXPECT_DOUBLE_EQ(gqa.estimate.median, 130);
  ASSERT_TRUE(gqa.ratio);
  EXPECT_DOUBLE_EQ(gqa.ratio->median, 1.33);
  EXPECT_GT(gqa.ratio->interval->low, 1.30);
  EXPECT_LT(gqa.ratio->interval->high, 1.36);
  EXPECT_TRUE(gqa.is_marked);
  EXPECT_FALSE(gqa.is_baseline);
  const SummaryRow& mha = row_of(summary, kMha, "prefill_tokens_per_second");
  EXPECT_DOUBLE_EQ(mha.ratio->median, 1);
  EXPECT_TRUE(mha.is_baseline);
  EXPECT_FALSE(mha.is_marked);
  ASSERT_EQ(summary.families.size(), 1u);
  EXPECT_EQ(summary.families[0].metric, "prefill_tokens_per_second");
  EXPECT_EQ(summary.families[0].arms, 1);
  EXPECT_EQ(summary.families[0].rounds, 7);
  EXPECT_TRUE(summary.families[0].can_mark());
}

TEST(Summary, FiveRoundsCanMarkNothingAndSayHowManyWould) {
  std::vector<TrialResult> trials;
  for (int round = 0; round < 5; ++round) {
    trials.push_back(trial(kMha, round, {prefill(100 + round)}));
    trials.push_back(trial(kGqa, round, {prefill(900 + round)}));
  }
  const Summary summary = summary_of(layout({kMha, kGqa}), trials);
  EXPECT_FALSE(row_of(summary, kGqa, "prefill_tokens_per_second").is_marked);
  ASSERT_EQ(summary.families.size(), 1u);
  EXPECT_FALSE(summary.families[0].can_mark());
  EXPECT_EQ(summary.families[0].rounds_needed, 6);
}

// Two rounds in which the arms took turns; gqa takes 1 / 1.4 of the time of mha in every slice, but for some noise.
TEST(Summary, FewRoundsInTurnsHaveIntervalsOfTheirSlices) {
  std::vector<TrialResult> trials;
  for (int round = 0; round < 2; ++round) {
    std::vector<double> mha, gqa;
    for (int slice = 0; slice < 10; ++slice) {
      mha.push_back(1.4 + 0.05 * ((slice * 7 + round) % 5));
      gqa.push_back(1 + 0.03 * ((slice * 3 + round) % 5));
    }
    const Sample first{"time_to_first_token_s", "s", "lower", 14, false};
    trials.push_back(trial(kMha, round, {prefill(100), first}));
    trials.back().details["slices"] = {{"prefill_tokens_per_second", mha}, {"together", "17"}};
    trials.push_back(trial(kGqa, round, {prefill(140), {"time_to_first_token_s", "s", "lower", 10, false}}));
    trials.back().details["slices"] = {{"prefill_tokens_per_second", gqa}, {"together", "17"}};
  }
  const Summary summary = summary_of(layout({kMha, kGqa}), trials);
  for (const auto& [metric, ratio] :
       {std::pair("prefill_tokens_per_second", 1.4), {"time_to_first_token_s", 10 / 14.0}}) {
    const SummaryRow& gqa = row_of(summary, kGqa, metric);
    ASSERT_TRUE(gqa.ratio && gqa.ratio->interval) << metric;
    EXPECT_TRUE(gqa.ratio->interval->is_of_slices);
    EXPECT_TRUE(gqa.is_marked);
    EXPECT_NEAR(gqa.ratio->median, ratio, 1e-12);
    EXPECT_NEAR(std::log(gqa.ratio->interval->high / ratio), std::log(ratio / gqa.ratio->interval->low), 1e-9);
    EXPECT_LT(gqa.ratio->interval->high / gqa.ratio->interval->low, 1.2);
  }
  ASSERT_EQ(summary.families.size(), 2u);
  EXPECT_TRUE(summary.families[0].can_mark());
  EXPECT_FALSE(is_narrow_enough(summary, 0.5)) << "rounds decide when a run may end";

  for (TrialResult& one : trials) one.details["slices"]["together"] = one.arm;  // not with each other
  const Summary apart = summary_of(layout({kMha, kGqa}), trials);
  EXPECT_FALSE(row_of(apart, kGqa, "prefill_tokens_per_second").is_marked);
  EXPECT_FALSE(apart.families[0].can_mark());
}

// Three arms around the same machine: b is twice, c three times as fast as a.
std::vector<TrialResult> three_arms(int rounds) {
  std::vector<TrialResult> trials;
  for (int round = 0; round < rounds; ++round) {
    const double machine = 1 + 0.3 * (round % 3);
    const auto wobble = [&](int of) { return 1 + 0.002 * ((round * 5 + of * 3) % 7 - 3) / 3.0; };
    for (int i = 0; i < 3; ++i)
      trials.push_back(trial(arm(std::string(1, static_cast<char>('a' + i))), round,
                             {prefill(100 * (i + 1) * machine * wobble(i)), kv_bytes(100 * (3 - i))}));
  }
  return trials;
}

TEST(Summary, AnyPairThatIsAskedForHasItsRatioAndTheIntervalsHoldForAllAtOnce) {
  StudyLayout study = layout({arm("a"), arm("b"), arm("c")});
  const Summary alone = summary_of(study, three_arms(8));
  EXPECT_TRUE(alone.further.empty());
  study.compare_with = {"b/full", "gone/full"};
  const Summary both = summary_of(study, three_arms(8));
  ASSERT_EQ(both.further.size(), 4u) << "a and c against b, speed and bytes";
  for (const FurtherRatio& one : both.further) {
    const SummaryRow& row = both.rows[one.row];
    EXPECT_EQ(one.reference, "b/full");
    EXPECT_NE(row.arm, "b/full");
    const bool is_speed = row.metric == "prefill_tokens_per_second";
    const double expected = row.arm == "a/full" ? (is_speed ? 0.5 : 1.5) : (is_speed ? 1.5 : 0.5);
    EXPECT_NEAR(one.ratio.median, expected, 0.03) << row.arm << " " << row.metric;
    EXPECT_EQ(one.is_marked, is_speed);
    EXPECT_EQ(one.ratio.interval.has_value(), is_speed);
    if (is_speed) {
      EXPECT_LT(one.ratio.interval->low, one.ratio.median);
      EXPECT_GT(one.ratio.interval->high, one.ratio.median);
    }
  }
  // More comparisons at once: no interval of the old ones gets narrower, and the family counts them all.
  const auto width = [](const Summary& summary, const char* name) {
    const Interval& interval = *row_of(summary, arm(name), "prefill_tokens_per_second").ratio->interval;
    return interval.high / interval.low;
  };
  for (const char* name : {"b", "c"}) EXPECT_GE(width(both, name), width(alone, name) * (1 - 1e-9)) << name;
  ASSERT_EQ(both.families.size(), 1u);
  EXPECT_EQ(both.families[0].arms, 4);
  EXPECT_EQ(alone.families[0].arms, 2);
  const std::vector<std::string> lines = lines_of(comparisons_csv(completed(study, {}), both));
  EXPECT_EQ(lines[0],
            "arm,compared_with,workload,case,metric,unit,better,n,ratio,ratio_low,ratio_high,marked,unstable");
  EXPECT_EQ(lines.size(), 1 + 4 + 4u);
  EXPECT_TRUE(lines[1].starts_with("b/full,a/full,speed,q512,prefill_tokens_per_second,tokens/s,higher,8,"))
      << lines[1];
  EXPECT_TRUE(lines[1].ends_with(",yes,no")) << lines[1];
  EXPECT_TRUE(lines[5].starts_with("a/full,b/full,")) << lines[5];
}

TEST(Summary, WhatHasNoVerdictIsNeitherComparedNorComparedWith) {
  StudyLayout study = layout({arm("a"), arm("b"), arm("c")});
  study.compare_with = {"b/full"};
  std::vector<TrialResult> trials = three_arms(1);
  for (std::size_t i = 0; i < trials.size(); ++i) {
    trials[i].samples = {{"recall_accuracy", "share", "higher", 0.2 * static_cast<double>(i + 1), true},
                         {"tokens_scored", "tokens", "none", 100, true}};
    const double right = 2 * static_cast<double>(i + 1);
    std::vector<double> rights(12, right), queries(12, 10);
    rights.front() += 1;
    trials[i].details["examples"] = {{"right", rights}, {"queries", queries}};
  }
  const Summary all = summary_of(study, trials);
  ASSERT_EQ(all.further.size(), 2u) << "of recall alone: how much was scored is no outcome";
  for (const FurtherRatio& one : all.further) EXPECT_TRUE(one.ratio.interval && one.ratio.interval->is_confident());
  EXPECT_TRUE(row_of(all, arm("c"), "recall_accuracy").ratio->interval);
  ASSERT_EQ(all.families.size(), 1u);
  EXPECT_TRUE(all.families[0].is_of_examples);
  EXPECT_EQ(all.families[0].arms, 4);
  EXPECT_EQ(all.families[0].rounds, 12);

  trials[1].details["no_verdict"] = "no token read the cache";
  const Summary without_b = summary_of(study, trials);
  EXPECT_TRUE(without_b.further.empty());
  EXPECT_FALSE(row_of(without_b, arm("b"), "recall_accuracy").ratio);
  EXPECT_TRUE(row_of(without_b, arm("c"), "recall_accuracy").ratio);
  trials[0].details["no_verdict"] = "no token read the cache";
  EXPECT_FALSE(row_of(summary_of(study, trials), arm("c"), "recall_accuracy").ratio) << "the baseline has none";
}

TEST(Summary, WhereTheFullCacheFailsSmallerOnesHaveNoVerdict) {
  const ArmLayout whole{.name = "whole", .cache = "full", .but_for_cache = "mha, hidden 32"};
  const ArmLayout half{.name = "half", .cache = "h2o(heavy=4)", .but_for_cache = "mha, hidden 32"};
  const ArmLayout other{.name = "other", .cache = "h2o(heavy=4)", .but_for_cache = "mha, hidden 64"};
  const StudyLayout study = layout({whole, half, other});
  const auto trials = [&](double ceiling) {
    std::vector<TrialResult> all;
    for (const ArmLayout& one : study.arms) {
      all.push_back(trial(one, 0,
                          {{"answer_accuracy", "share", "higher", one.name == "whole" ? ceiling : 0.5, true},
                           {"token_accuracy", "share", "higher", 0.95, true},
                           {"kv_bytes_mean", "bytes", "lower", 10, true}}));
      if (one.name == "whole") all.back().details["keeps_every_row"] = true;
      all.back().details["examples"] = {{"right", std::vector<double>(12, 5)},
                                        {"queries", std::vector<double>(12, 10)}};
    }
    return all;
  };
  const Summary failing = summary_of(study, trials(0.85));
  const SummaryRow& marked = row_of(failing, half, "answer_accuracy");
  EXPECT_EQ(marked.no_verdict, "not discriminative: with every row in the cache less than 90.0 % are right");
  EXPECT_FALSE(marked.ratio);
  EXPECT_FALSE(row_of(failing, half, "token_accuracy").no_verdict.empty()) << "answers decide for their tokens";
  EXPECT_TRUE(row_of(failing, half, "kv_bytes_mean").no_verdict.empty()) << "bytes are compared all the same";
  EXPECT_TRUE(row_of(failing, other, "answer_accuracy").no_verdict.empty()) << "its own full cache is not there";
  EXPECT_TRUE(row_of(failing, whole, "answer_accuracy").no_verdict.empty());
  const Summary standing = summary_of(study, trials(0.9));
  EXPECT_TRUE(row_of(standing, half, "answer_accuracy").no_verdict.empty());
  EXPECT_TRUE(row_of(standing, half, "answer_accuracy").ratio);
}

TEST(Summary, DistancesFromAnArmStayThoseFromItWhateverTheBaseline) {
  std::vector<TrialResult> trials = three_arms(1);
  for (std::size_t i = 0; i < trials.size(); ++i)
    trials[i].samples = {{"kl_to_baseline", "nats", "lower", 0.1 * static_cast<double>(i), true},
                         {"perplexity", "", "lower", 10 + static_cast<double>(i), true}};
  StudyLayout study = completed(layout({arm("a"), arm("b"), arm("c")}), trials);
  EXPECT_EQ(study.measured_against, "a/full");
  study.baseline = "b/full";  // as `report --baseline` does
  study.compare_with = {"c/full"};
  const Summary summary = summarise(study, trials);
  for (const SummaryRow& row : summary.rows) EXPECT_EQ(row.ratio.has_value(), row.metric == "perplexity") << row.arm;
  EXPECT_NEAR(row_of(summary, arm("c"), "perplexity").ratio->median, 12.0 / 11, 1e-12);
  for (const FurtherRatio& one : summary.further) EXPECT_EQ(summary.rows[one.row].metric, "perplexity");
}

TEST(Summary, ARatioThatTheTwoMediansContradictIsUnstable) {
  std::vector<TrialResult> trials;
  // The machine has two speeds, and one round met its change between the arms: 164 stands beside 276, and the ratio
  // within the other rounds is close to 1 all the same.
  const std::vector<double> theirs = {276, 277, 275, 276.5, 166, 165.5, 166.5};
  const std::vector<double> mine = {272, 272.5, 271.5, 164, 163.9, 163.2, 164.3};
  for (int round = 0; round < 7; ++round) {
    trials.push_back(trial(kMha, round, {prefill(theirs[static_cast<std::size_t>(round)])}));
    trials.push_back(trial(kGqa, round, {prefill(mine[static_cast<std::size_t>(round)])}));
  }
  const Summary summary = summary_of(layout({kMha, kGqa}), trials);
  const SummaryRow& gqa = row_of(summary, kGqa, "prefill_tokens_per_second");
  EXPECT_NEAR(*gqa.quotient, 164.3 / 275, 1e-9);
  EXPECT_NEAR(gqa.ratio->median, 0.986, 0.002);
  EXPECT_LT(*gqa.quotient, gqa.ratio->interval->low);
  EXPECT_TRUE(gqa.is_unstable);
  // The same rounds, paired well: the quotient agrees.
  for (TrialResult& one : trials)
    if (one.arm == kGqa.name) one.samples = {prefill(theirs[static_cast<std::size_t>(one.round)] * 1.1)};
  EXPECT_FALSE(row_of(summary_of(layout({kMha, kGqa}), trials), kGqa, "prefill_tokens_per_second").is_unstable);
}

// A perplexity trial of so many windows; the arm's NLL is `more` above that of the baseline, but for a window's own.
TrialResult text_trial(const ArmLayout& arm, std::int64_t seed, int windows, double more) {
  std::vector<double> nll;
  double sum = 0;
  for (int i = 0; i < windows; ++i) {
    nll.push_back(100 * (3 + 0.1 * (i % 7) + static_cast<double>(seed) + more * (0.9 + 0.2 * (i % 5 == 0))));
    sum += nll.back();
  }
  const double mean = sum / (100 * windows);
  TrialResult result = trial(
      arm, 0, {{"nll_per_token", "nats", "lower", mean, true}, {"perplexity", "", "lower", std::exp(mean), true}});
  result.id += "-" + std::to_string(seed);
  result.workload = "perplexity";
  result.case_name = "";
  result.seed = seed;
  result.details["windows"] = {{"tokens", std::vector<double>(static_cast<std::size_t>(windows), 100)}, {"nll", nll}};
  return result;
}

TEST(Summary, QualityHasIntervalsFromAHundredWindowsOn) {
  for (const int windows : {99, 100}) {
    const std::vector<TrialResult> trials = {text_trial(kMha, 1, windows, 0), text_trial(kGqa, 1, windows, 0.01)};
    const Summary summary = summary_of(layout({kMha, kGqa}), trials);
    const SummaryRow& gqa = row_of(summary, kGqa, "perplexity");
    EXPECT_EQ(gqa.estimate.n, 1);
    const bool is_enough = windows == 100;
    EXPECT_EQ(gqa.estimate.interval.has_value(), is_enough);
    EXPECT_EQ(gqa.ratio->interval.has_value(), is_enough);
    EXPECT_EQ(gqa.is_marked, is_enough);
    ASSERT_EQ(summary.families.size(), 2u);  // nll_per_token, perplexity
    EXPECT_EQ(summary.families[1].rounds, windows);
    EXPECT_EQ(summary.families[1].rounds_needed, 100);
    EXPECT_TRUE(summary.families[1].is_of_text);
    if (!is_enough) continue;
    // What the two texts share is taken out: the interval of the ratio is much narrower than that of the figure.
    EXPECT_GT(gqa.ratio->interval->low, 1.0);
    EXPECT_LT(gqa.ratio->interval->high - gqa.ratio->interval->low, 0.002);
    EXPECT_GT(gqa.estimate.interval->high / gqa.estimate.interval->low, 1.05);
    EXPECT_LT(gqa.estimate.interval->low, gqa.estimate.median);
    EXPECT_GT(gqa.estimate.interval->high, gqa.estimate.median);
  }
}

TEST(Summary, SeedsCountOnceEachAndTheirSpreadIsApart) {
  std::vector<TrialResult> trials;
  for (const std::int64_t seed : {1, 2, 4}) {
    trials.push_back(text_trial(kMha, seed, 10, 0));
    trials.push_back(text_trial(kGqa, seed, 10, 0.5));
    for (int round = 0; round < 3; ++round)
      for (const ArmLayout& arm : {kMha, kGqa}) {
        trials.push_back(trial(arm, round, {prefill(100.0 * static_cast<double>(seed) + round)}));
        trials.back().seed = seed;
      }
  }
  const Summary summary = summary_of(layout({kMha, kGqa}), trials);
  const SummaryRow& nll = row_of(summary, kMha, "nll_per_token");
  EXPECT_EQ(nll.estimate.n, 3);
  EXPECT_FALSE(nll.estimate.interval);
  EXPECT_NEAR(nll.over_seeds->high - nll.over_seeds->low, 3, 1e-9);
  const SummaryRow& speed = row_of(summary, kGqa, "prefill_tokens_per_second");
  EXPECT_EQ(speed.estimate.n, 9);
  EXPECT_DOUBLE_EQ(speed.estimate.median, 201);
  EXPECT_EQ(*speed.over_seeds, (Interval{101, 401, 0}));
  EXPECT_EQ(speed.ratio->n, 9);
  EXPECT_DOUBLE_EQ(speed.ratio->median, 1);
  EXPECT_LT(speed.estimate.interval->high, 203);
  EXPECT_TRUE(summary.warnings.empty());
}

TEST(Summary, SamplesOfOneRoundCountOnceWithTheirMedian) {
  const std::vector<TrialResult> trials = {trial(kMha, 0, {prefill(1), prefill(2), prefill(30)}),
                                           trial(kMha, 1, {prefill(4)})};
  const SummaryRow row = summary_of(layout({kMha}), trials).rows.at(0);
  EXPECT_EQ(row.estimate.n, 2);
  EXPECT_DOUBLE_EQ(row.estimate.median, 3);
}

TEST(Summary, DeterministicMetricsCountOnceAndHaveNoInterval) {
  const std::vector<TrialResult> trials = {trial(kMha, 0, {kv_bytes(300)}), trial(kMha, 1, {kv_bytes(300)}),
                                           trial(kGqa, 2, {kv_bytes(100)})};
  const Summary summary = summary_of(layout({kMha, kGqa}), trials);
  const SummaryRow& row = row_of(summary, kGqa, "kv_bytes_allocated");
  EXPECT_EQ(row_of(summary, kMha, "kv_bytes_allocated").estimate.n, 1);
  EXPECT_EQ(row.estimate.n, 1);
  EXPECT_FALSE(row.estimate.interval);
  ASSERT_TRUE(row.ratio);  // although the two have no round in common
  EXPECT_DOUBLE_EQ(row.ratio->median, 1.0 / 3.0);
  EXPECT_FALSE(row.ratio->interval);
  EXPECT_TRUE(summary.warnings.empty());
}

TEST(Summary, ADeterministicMetricThatDiffersIsTreatedAsMeasuredAndNamed) {
  const Summary summary =
      summary_of(layout({kMha}), {trial(kMha, 0, {kv_bytes(300)}), trial(kMha, 1, {kv_bytes(301)})});
  EXPECT_EQ(summary.rows.at(0).estimate.n, 2);
  ASSERT_EQ(summary.warnings.size(), 1u);
  EXPECT_NE(summary.warnings[0].find("mha/full, speed q512: kv_bytes_allocated"), std::string::npos);
  const Summary nan = summary_of(layout({kMha}), {trial(kMha, 0, {kv_bytes(NAN)}), trial(kMha, 1, {kv_bytes(NAN)})});
  EXPECT_TRUE(nan.warnings.empty());
}

TEST(Summary, AShareAboveTheRoofIsNamed) {
  const Sample share = {"share_of_fma_peak", "share", "higher", 1.02, false};
  const Summary summary = summary_of(layout({kMha}), {trial(kMha, 0, {share})});
  ASSERT_EQ(summary.warnings.size(), 1u);
  EXPECT_NE(summary.warnings[0].find("above 100 %"), std::string::npos);
}

TEST(Summary, RowsFollowTheArmsTheCasesAndTheStandardMetrics) {
  StudyLayout study = layout({kGqa, kMha});
  study.cases = {{"speed", "q512"}, {"perplexity", ""}};
  TrialResult quality = trial(kGqa, 0, {{"perplexity", "", "lower", 12, true}});
  quality.workload = "perplexity";
  quality.case_name = "";
  TrialResult unknown = trial(kGqa, 0, {prefill(1)});
  unknown.case_name = "q1";
  const Sample own = {"a_metric_of_ones_own", "", "none", 1, false};
  const std::vector<TrialResult> trials = {unknown, quality, trial(kMha, 0, {own, kv_bytes(1), prefill(2)}),
                                           trial(arm("extra"), 0, {prefill(3)}), trial(kGqa, 0, {prefill(1)})};
  std::vector<std::string> order;
  for (const SummaryRow& row : summary_of(study, trials).rows)
    order.push_back(row.arm + " " + row.workload + " " + row.case_name + " " + row.metric);
  const std::vector<std::string> expected = {
      "gqa/full speed q512 prefill_tokens_per_second",  "gqa/full perplexity  perplexity",
      "gqa/full speed q1 prefill_tokens_per_second",    "mha/full speed q512 prefill_tokens_per_second",
      "mha/full speed q512 kv_bytes_allocated",         "mha/full speed q512 a_metric_of_ones_own",
      "extra/full speed q512 prefill_tokens_per_second"};
  EXPECT_EQ(order, expected);
}

TEST(Summary, FailedRoundsAreARowBehindThoseThatWentWell) {
  TrialResult failed = trial(kMha, 1, {prefill(1e9)});  // what it measured before it failed is not to be trusted
  failed.status = "failed";
  failed.reason = "killed by signal 9\nout of memory";
  TrialResult again = failed;
  again.round = 3;
  const Summary summary =
      summary_of(layout({kMha}), {trial(kMha, 0, {prefill(10)}), failed, trial(kMha, 2, {prefill(20)}), again});
  ASSERT_EQ(summary.rows.size(), 2u);
  EXPECT_DOUBLE_EQ(summary.rows[0].estimate.median, 15);
  EXPECT_EQ(summary.rows[1].status, "failed: killed by signal 9 out of memory");
  EXPECT_EQ(summary.rows[1].metric, "");
  EXPECT_EQ(summary.rows[1].estimate.n, 2);
  EXPECT_FALSE(summary.rows[1].ratio);
}

TEST(Summary, ARefusedArmIsOneRowWhetherTheLayoutOrATrialSaysSo) {
  StudyLayout study = layout({kMha, kGqa});
  study.arms[1].refused = "needs keys without rotation";
  TrialResult refused;
  refused.id = "r";
  refused.arm = "mqa/h2o";
  refused.status = "refused";
  refused.reason = "needs more than one head";
  const Summary summary = summary_of(study, {trial(kMha, 0, {prefill(1)}), refused});
  ASSERT_EQ(summary.rows.size(), 3u);
  EXPECT_EQ(summary.rows[1].arm, "gqa/full");
  EXPECT_EQ(summary.rows[1].status, "refused: needs keys without rotation");
  EXPECT_EQ(summary.rows[2].arm, "mqa/h2o");
  EXPECT_EQ(summary.rows[2].status, "refused: needs more than one head");
  EXPECT_EQ(summary.rows[2].estimate.n, 0);
}

TEST(Summary, WithoutABaselineTheFirstArmThatRanIsIt) {
  StudyLayout study = layout({kMha, kGqa});
  study.arms[0].refused = "not here";
  EXPECT_EQ(completed(study, {}).baseline, kGqa.name);
  study.baseline = "named";
  EXPECT_EQ(completed(study, {}).baseline, "named");
}

TEST(Summary, AnArmWithoutABaselineInItsCaseHasNoRatio) {
  const Summary summary = summary_of(layout({kMha, kGqa}), {trial(kGqa, 0, {prefill(1)})});
  EXPECT_FALSE(summary.rows.at(0).ratio);
}

TEST(Summary, OfNoTrialsHasNoRows) {
  EXPECT_TRUE(summary_of(layout({kMha}), {}).rows.empty());
}

TEST(SummaryCsv, HasTheColumnsOfTheContractAndFullFigures) {
  const std::vector<TrialResult> trials = {trial(kMha, 0, {prefill(1.0 / 3), kv_bytes(440401920)}),
                                           trial(kMha, 1, {prefill(2.0 / 3), kv_bytes(440401920)})};
  const std::vector<std::string> lines = lines_of(summary_csv(summary_of(layout({kMha}), trials)));
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0],
            "arm,attention,position,cache,workload,case,metric,unit,better,n,median,ci_low,ci_high,baseline_ratio,"
            "ratio_low,ratio_high,status");
  EXPECT_EQ(lines[1],
            "mha/full,mha,rope,full,speed,q512,prefill_tokens_per_second,tokens/s,higher,2,0.5,0.3333333333333333,"
            "0.6666666666666666,1,1,1,ok");
  EXPECT_EQ(lines[2], "mha/full,mha,rope,full,speed,q512,kv_bytes_allocated,bytes,lower,1,440401920,,,1,,,ok");
}

TEST(SummaryCsv, AFailedRowHasItsRoundsAndItsStatusOnly) {
  TrialResult failed = trial(kMha, 1, {});
  failed.status = "failed";
  failed.reason = "signal 9, \"core\"";
  const std::vector<std::string> lines = lines_of(summary_csv(summary_of(layout({kMha}), {failed})));
  EXPECT_EQ(lines.at(1), "mha/full,mha,rope,full,speed,q512,,,,1,,,,,,,\"failed: signal 9, \"\"core\"\"\"");
}

TEST(SamplesCsv, HasALinePerSampleInTheOrderOfTheLayout) {
  TrialResult failed = trial(kMha, 2, {});
  failed.status = "failed";
  failed.reason = "signal 9";
  const std::vector<TrialResult> trials = {trial(kGqa, 0, {prefill(3)}), trial(kMha, 1, {prefill(2), kv_bytes(7)}),
                                           failed, trial(kMha, 0, {prefill(1)})};
  const StudyLayout study = completed(layout({kMha, kGqa}), trials);
  const std::vector<std::string> expected = {
      "arm,attention,position,cache,workload,case,round,seed,metric,unit,better,value,status,window,tokens",
      "mha/full,mha,rope,full,speed,q512,0,0,prefill_tokens_per_second,tokens/s,higher,1,ok,,",
      "mha/full,mha,rope,full,speed,q512,1,0,prefill_tokens_per_second,tokens/s,higher,2,ok,,",
      "mha/full,mha,rope,full,speed,q512,1,0,kv_bytes_allocated,bytes,lower,7,ok,,",
      "mha/full,mha,rope,full,speed,q512,2,0,,,,,failed: signal 9,,",
      "gqa/full,gqa,rope,full,speed,q512,0,0,prefill_tokens_per_second,tokens/s,higher,3,ok,,"};
  EXPECT_EQ(lines_of(samples_csv(study, trials)), expected);
}

TEST(Csv, QuotesWhatRfc4180SaysAndNothingElse) {
  EXPECT_EQ(csv_line({"plain", "", "a,b", "say \"x\"", "two\nlines", "cr\r", " blank", "semi;colon", "é"}),
            "plain,,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"cr\r\",\" blank\",semi;colon,é\n");
}

TEST(Csv, NumbersReadBackAsTheyWere) {
  for (const double value : {1.0 / 3, 1e-300, 123456789012345680.0, 0.1, -2.5, 4294967296.0})
    EXPECT_EQ(std::stod(csv_number(value)), value);
  EXPECT_EQ(csv_number(4294967296.0), "4294967296");
  EXPECT_EQ(csv_number(NAN), "nan");
  EXPECT_EQ(csv_number(-INFINITY), "-inf");
}

}  // namespace
}  // namespace attnlab::report::test

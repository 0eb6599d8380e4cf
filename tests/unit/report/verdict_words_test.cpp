// The sentences must follow from the numbers: what differs, what is not shown to, what cannot be marked, and never more
// than eight of them.
#include "report/pages/verdict_words.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

const ArmLayout kMha = arm("mha");
const ArmLayout kGqa = arm("gqa");

Sample decode(double tokens_per_second) {
  return {"decode_tokens_per_second", "tokens/s", "higher", tokens_per_second, false};
}

// Decode speed in each round as a multiple of the baseline's, give or take a percent, and the KV bytes.
std::vector<TrialResult> rounds_of(const std::vector<ArmLayout>& arms, const std::vector<double>& speeds, int rounds) {
  std::vector<TrialResult> trials;
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < arms.size(); ++i) {
      const double wobble = 1 + 0.01 * (static_cast<double>((round * 5 + static_cast<int>(i) * 3) % 7) - 3) / 3;
      trials.push_back(trial(arms[i], round, {decode(100 * speeds[i] * wobble), kv_bytes(i == 0 ? 300 : 100)}));
    }
  return trials;
}

TrialResult text_of(const ArmLayout& arm, int windows, double more) {
  std::vector<double> nll;
  double sum = 0;
  for (int i = 0; i < windows; ++i) {
    nll.push_back(100 * (3 + 0.1 * (i % 7) + more * (i % 2 == 0 ? 0.5 : 1.5)));
    sum += nll.back();
  }
  TrialResult result = trial(arm, 0, {{"perplexity", "", "lower", std::exp(sum / (100 * windows)), true}});
  result.id += "-text";
  result.workload = "perplexity";
  result.case_name = "";
  result.details["windows"] = {{"tokens", std::vector<double>(static_cast<std::size_t>(windows), 100)}, {"nll", nll}};
  return result;
}

// The baseline and an arm that is so many times as fast at 512 rows and at 8k, which come first in the study.
std::pair<StudyLayout, std::vector<TrialResult>> at_two_contexts(const ArmLayout& other, double at_512, double at_8k,
                                                                 int rounds) {
  StudyLayout study = layout({kMha, other});
  study.cases = {{"speed", "q1s8k", {{"context", 8192}}}, {"speed", "q512", {{"context", 512}}}};
  std::vector<TrialResult> trials = rounds_of(study.arms, {1, at_512}, rounds);
  for (TrialResult longer : rounds_of(study.arms, {1, at_8k}, rounds)) {
    longer.case_name = "q1s8k";
    trials.push_back(longer);
  }
  return {study, trials};
}

std::vector<std::string> words_of(const StudyLayout& study, const std::vector<TrialResult>& trials) {
  Results results;
  results.trials = trials;
  results.layout = completed(study, trials);
  results.summary = summarise(results.layout, trials);
  return verdict(results);
}

void expect_like(const std::string& sentence, const std::string& pattern) {
  EXPECT_TRUE(std::regex_match(sentence, std::regex(pattern))) << sentence << "\nis not like\n" << pattern;
}

TEST(VerdictWords, SayWhatDiffersWithItsIntervalAndTheBytes) {
  std::vector<TrialResult> trials = rounds_of({kMha, kGqa}, {1, 1.31}, 9);
  trials.push_back(text_of(kMha, 120, 0));
  trials.push_back(text_of(kGqa, 120, 0.02));
  const auto words = words_of(layout({kMha, kGqa}), trials);
  ASSERT_EQ(words.size(), 1u);
  expect_like(words[0],
              R"(gqa/full decodes 1\.3\d+ × \[1\.[23]\d+, 1\.3\d+\] as fast as mha/full with 0\.33 × the KV bytes; )"
              R"(perplexity \+2\.0 % \[\+1\.\d, \+2\.\d\]\.)");
}

TEST(VerdictWords, SayThatNoDifferenceIsShown) {
  std::vector<TrialResult> trials = rounds_of({kMha, kGqa}, {1, 1}, 9);
  trials.push_back(text_of(kMha, 120, 0));
  trials.push_back(text_of(kGqa, 120, 0));
  const auto words = words_of(layout({kMha, kGqa}), trials);
  ASSERT_EQ(words.size(), 1u);
  expect_like(words[0], R"(gqa/full: no difference in decode speed shown: .* × \[0\.9\d+, 1\.0\d+\] with 0\.33 × .*; )"
                        R"(the same perplexity\.)");
}

TEST(VerdictWords, SayWhatCannotBeMarkedAndHowMuchWouldDo) {
  std::vector<TrialResult> trials = rounds_of({kMha, kGqa}, {1, 1.31}, 4);
  trials.push_back(text_of(kMha, 12, 0));
  trials.push_back(text_of(kGqa, 12, 0.02));
  const auto words = words_of(layout({kMha, kGqa}), trials);
  ASSERT_EQ(words.size(), 3u);
  expect_like(words[0], R"(gqa/full decodes 1\.3\d × as fast as mha/full .*; perplexity \+2\.0 % \(no interval\)\.)");
  EXPECT_EQ(words[1],
            "With 4 rounds no difference in decode tokens/s can be marked, however large; 6 rounds would do.");
  EXPECT_EQ(words[2],
            "With 12 windows of text no difference in perplexity can be marked, however large; 100 windows of "
            "text would do.");
}

TEST(VerdictWords, OfManyArmsTellTheWorstWithTheBestAndCountTheOthers) {
  std::vector<ArmLayout> arms = {kMha};
  std::vector<double> speeds = {1};
  for (int i = 0; i < 12; ++i) {
    arms.push_back(arm("a" + std::to_string(i)));
    speeds.push_back(i < 4 ? 1 : 1 + 0.2 * i);
  }
  std::vector<TrialResult> trials = rounds_of(arms, speeds, 8);
  for (std::size_t i = 0; i < arms.size(); ++i) trials.push_back(text_of(arms[i], 150, i < 10 ? 0 : 0.1));
  TrialResult failed = trial(arms[3], 8, {});
  failed.status = "failed";
  trials.push_back(failed);
  const auto words = words_of(layout(arms), trials);
  ASSERT_LE(words.size(), 8u);
  ASSERT_EQ(words.size(), 5u);
  expect_like(
      words[0],
      R"(Decode speed against mha/full: from (0\.9|1\.0)\d+ × \[.*\] \(a\d/full( and \d more)?\) to 3\.\d+ × \[.*\] )"
      R"(\(a11/full\); of 12 arms 8 faster, 0 slower, 4 without a shown difference\.)");
  EXPECT_EQ(words[1], "KV bytes against mha/full (exact): 0.33 × (a0/full and 11 more).");
  expect_like(words[2], R"(Perplexity against mha/full: from .* to \+10\.5 % \[.*\] \(a9/full and 2 more\)\.)");
  EXPECT_EQ(words[3], "The 9 arms without a shown loss in perplexity: KV bytes 0.33 × (a0/full and 8 more) (exact).");
  EXPECT_EQ(words[4], "1 arm failed at least once.");
  for (const std::string& sentence : words)
    for (const char* superlative : {"fastest", "best", "smallest", "fewest", "least:"})
      EXPECT_EQ(sentence.find(superlative), std::string::npos) << sentence;
}

TEST(VerdictWords, OfAnArmTellTheWorstCaseWithTheBest) {
  const auto [study, trials] = at_two_contexts(kGqa, 0.8, 1.9, 8);
  const auto words = words_of(study, trials);
  ASSERT_EQ(words.size(), 1u);
  const std::string unstable = R"(( \(unstable: the quotient of the medians is [\d.]+ ×\))?)";
  expect_like(words[0], R"(gqa/full decodes 0\.(79|80|81)\d* × \[[\d., ]+\])" + unstable +
                            R"( \(q512\) to 1\.(9|8)\d* × \[[\d., ]+\])" + unstable +
                            R"( \(q1s8k\) as fast as mha/full with 0\.33 × the KV bytes\.)");
}

TrialResult recall_of(const ArmLayout& arm, const std::string& case_name, double share) {
  TrialResult result = trial(arm, 0, {{"recall_accuracy", "share", "higher", share, true}});
  result.id += "-" + case_name;
  result.workload = "recall";
  result.case_name = case_name;
  return result;
}

TEST(VerdictWords, OfAnArmSayInWhichCasesItEvictedNothing) {
  StudyLayout study = layout({kMha, kGqa});
  study.cases = {{"recall", "length64", {{"context", 64}}}, {"recall", "length512", {{"context", 512}}}};
  std::vector<TrialResult> trials = {recall_of(kMha, "length64", 0.9), recall_of(kGqa, "length64", 0.9),
                                     recall_of(kMha, "length512", 0.9), recall_of(kGqa, "length512", 0.3)};
  trials[1].details["evicted_nothing"] = true;
  EXPECT_EQ(words_of(study, trials),
            (std::vector<std::string>{"gqa/full: recall 30.0 % against 90.0 % (length512) to 90.0 % against 90.0 % "
                                      "(length64), but it evicted nothing (length64)."}));
  trials[3] = trials[1];
  trials[3].id += "-512";
  trials[3].case_name = "length512";
  EXPECT_EQ(words_of(study, trials),
            (std::vector<std::string>{"gqa/full: recall 90.0 % against 90.0 % (length512), but it evicted nothing."}));
}

TEST(VerdictWords, OfManyArmsLeaveOutWhoEvictedNothingAndWhatHasNoVerdict) {
  StudyLayout study = layout({kMha});
  study.cases = {{"recall", "length64", {{"context", 64}}}};
  std::vector<TrialResult> trials = {recall_of(kMha, "length64", 0.8)};
  for (int i = 0; i < 8; ++i) {
    study.arms.push_back(arm("a" + std::to_string(i)));
    trials.push_back(recall_of(study.arms.back(), "length64", i == 0 ? 0.1 : 0.4));
  }
  trials[1].details["no_verdict"] = "no token read the cache";
  for (int i : {2, 3}) trials[static_cast<std::size_t>(i)].details["evicted_nothing"] = true;
  EXPECT_EQ(words_of(study, trials),
            (std::vector<std::string>{
                "Recall: 40.0 % (a3/full and 4 more) (arms and cases in which as much is recalled as by mha/full, or "
                "more: 0 of 5); 2 arms evicted nothing.",
                "No verdict on a0/full in recall length64: no token read the cache."}));
}

TEST(VerdictWords, OfSeveralArmsWithoutAVerdictTellTheReasonOfEach) {
  StudyLayout study = layout({kMha, kGqa});
  study.cases = {{"recall", "length64"}};
  std::vector<TrialResult> trials = {recall_of(kMha, "length64", 0.9), recall_of(kGqa, "length64", 0.5)};
  trials[0].details["no_verdict"] = "h2o may drop rows";
  trials[1].details["no_verdict"] = "int8 rounds rows";
  EXPECT_EQ(words_of(study, trials),
            (std::vector<std::string>{
                "No verdict on mha/full, gqa/full in recall length64: h2o may drop rows; int8 rounds rows."}));
}

TEST(VerdictWords, OfOneReasonInManyCasesAreOneSentence) {
  StudyLayout study = layout({kMha, kGqa});
  study.cases.clear();
  std::vector<TrialResult> trials;
  for (int i = 0; i < 9; ++i) {
    const std::string name = "length" + std::to_string(i);
    study.cases.push_back({"recall", name});
    for (const ArmLayout& arm : study.arms) trials.push_back(recall_of(arm, name, 0.5));
    trials.back().details["no_verdict"] = i < 8 ? "no token read the cache" : "nobody asked";
  }
  const auto words = words_of(study, trials);
  ASSERT_EQ(words.size(), 3u);
  EXPECT_EQ(words[0], "mha/full: recall 50.0 % (length8).");
  EXPECT_EQ(words[1],
            "No verdict on gqa/full in recall length0, recall length1, recall length2, recall length3, recall length4, "
            "recall length5, recall length6, recall length7: no token read the cache.");
  EXPECT_EQ(words[2], "No verdict on gqa/full in recall length8: nobody asked.");
}

TEST(VerdictWords, OfOneArmAreItsFigures) {
  const auto words = words_of(layout({kMha}), rounds_of({kMha}, {1}, 7));
  ASSERT_EQ(words.size(), 1u);
  expect_like(words[0], R"(mha/full: decode tokens/s 100 \[.*\]; KV cache 300 B\.)");
  EXPECT_TRUE(words_of(layout({kMha}), {}).empty());
}

TEST(VerdictWords, SpeakOfEveryContextAndStayOnOneLine) {
  const auto [study, trials] = at_two_contexts(arm("g\nqa"), 1.1, 2, 7);
  const auto words = words_of(study, trials);
  ASSERT_EQ(words.size(), 1u);
  expect_like(
      words[0],
      R"(g qa/full decodes 1\.\d+ × \[.*\] \(q512\) to (2\.0|1\.9)\d+ × \[.*\] \(q1s8k\) as fast as mha/full with .*)");
}

}  // namespace
}  // namespace attnlab::report::test

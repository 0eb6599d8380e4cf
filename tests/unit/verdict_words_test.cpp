// The sentences must follow from the numbers: what differs, what is not shown to, what cannot be marked, and never more
// than eight of them.
#include "report/verdict_words.h"

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
  StudyLayout study = layout({kMha, kGqa});
  study.cases = {{"speed", "q1s8k", {{"context", 8192}}}, {"speed", "q512", {{"context", 512}}}};
  std::vector<TrialResult> trials = rounds_of(study.arms, {1, 0.8}, 8);
  for (TrialResult longer : rounds_of(study.arms, {1, 1.9}, 8)) {
    longer.case_name = "q1s8k";
    trials.push_back(longer);
  }
  const auto words = words_of(study, trials);
  ASSERT_EQ(words.size(), 1u);
  const std::string unstable = R"(( \(unstable: the quotient of the medians is [\d.]+ ×\))?)";
  expect_like(words[0], R"(gqa/full decodes 0\.(79|80|81)\d* × \[[\d., ]+\])" + unstable +
                            R"( \(q512\) to 1\.(9|8)\d* × \[[\d., ]+\])" + unstable +
                            R"( \(q1s8k\) as fast as mha/full with 0\.33 × the KV bytes\.)");
}

TEST(VerdictWords, OfOneArmAreItsFigures) {
  const auto words = words_of(layout({kMha}), rounds_of({kMha}, {1}, 7));
  ASSERT_EQ(words.size(), 1u);
  expect_like(words[0], R"(mha/full: decode tokens/s 100 \[.*\]; KV cache 300 B\.)");
  EXPECT_TRUE(words_of(layout({kMha}), {}).empty());
}

TEST(VerdictWords, SpeakOfEveryContextAndStayOnOneLine) {
  StudyLayout study = layout({kMha, arm("g\nqa")});
  study.cases = {{"speed", "q1s8k", {{"context", 8192}}}, {"speed", "q512", {{"context", 512}}}};
  std::vector<TrialResult> trials = rounds_of(study.arms, {1, 1.1}, 7);
  for (TrialResult longer : rounds_of(study.arms, {1, 2}, 7)) {
    longer.case_name = "q1s8k";
    trials.push_back(longer);
  }
  const auto words = words_of(study, trials);
  ASSERT_EQ(words.size(), 1u);
  expect_like(
      words[0],
      R"(g qa/full decodes 1\.\d+ × \[.*\] \(q512\) to (2\.0|1\.9)\d+ × \[.*\] \(q1s8k\) as fast as mha/full with .*)");
}

}  // namespace
}  // namespace attnlab::report::test

// The batch grammar of the speed workload.
#include <string>

#include <gtest/gtest.h>

#include "config/problem_list.h"
#include "workloads/batch.h"

namespace attnlab::experiment {
namespace {

Batch parsed(const std::string& text) {
  config::ProblemList problems;
  const auto batch = read_batch(config::parse_text(text, "f.yaml"), problems);
  problems.throw_if_any();
  return *batch;
}

std::string error_of(const std::string& yaml) {
  config::ProblemList problems;
  const auto batch = read_batch(config::parse_text(yaml, "f.yaml"), problems);
  EXPECT_EQ(batch.has_value(), problems.empty());
  if (problems.empty()) return "no error";
  const std::string text = problems.sorted().front().text();
  const std::string remedy = "; write <count>q<new tokens>[k][s<total length>[k]], joined by _, as in 8q1s1k";
  EXPECT_TRUE(text.ends_with(remedy)) << text;
  return text.substr(0, text.size() - remedy.size());
}

TEST(BatchGrammar, CountIsOneAndTheTotalLengthIsTheNewTokensUnlessGiven) {
  EXPECT_EQ(parsed("q512"), (Batch{{1, 512, 512}}));
  EXPECT_EQ(parsed("8q1s1k"), (Batch{{8, 1, 1024}}));
  EXPECT_EQ(parsed("q2k"), (Batch{{1, 2048, 2048}}));
  EXPECT_EQ(parsed("2q1ks4k"), (Batch{{2, 1024, 4096}}));
  EXPECT_EQ(parsed("'q1s1'"), (Batch{{1, 1, 1}}));
}

TEST(BatchGrammar, PartsAreJoinedByUnderscores) {
  const Batch batch = parsed("q512_8q1s1k_2q16s100");
  EXPECT_EQ(batch, (Batch{{1, 512, 512}, {8, 1, 1024}, {2, 16, 100}}));
  EXPECT_EQ(new_tokens(batch), 512 + 8 + 32);
  EXPECT_EQ(sequences(batch), 11);
}

TEST(BatchGrammar, TheColumnIsThatOfTheFault) {
  EXPECT_EQ(error_of("512"), "f.yaml:1:4: batch \"512\": expected q, got the end");
  EXPECT_EQ(error_of("q"), "f.yaml:1:2: batch \"q\": expected a number, got the end");
  EXPECT_EQ(error_of("8q1s"), "f.yaml:1:5: batch \"8q1s\": expected a number, got the end");
  EXPECT_EQ(error_of("8q1s1K"), "f.yaml:1:6: batch \"8q1s1K\": \"K\" is not expected here");
  EXPECT_EQ(error_of("q512_"), "f.yaml:1:6: batch \"q512_\": expected q, got the end");
  EXPECT_EQ(error_of("q512__q1"), "f.yaml:1:6: batch \"q512__q1\": expected q, got \"_\"");
  EXPECT_EQ(error_of("x"), "f.yaml:1:1: batch \"x\": expected q, got \"x\"");
  EXPECT_EQ(error_of("q-1"), "f.yaml:1:2: batch \"q-1\": expected a number, got \"-\"");
  EXPECT_EQ(error_of("q\xc3\xa9"), "f.yaml:1:2: batch \"q\xc3\xa9\": expected a number, got \"\xc3\xa9\"");
  EXPECT_EQ(error_of("2kq1"), "f.yaml:1:2: batch \"2kq1\": expected q, got \"k\"");
  EXPECT_EQ(error_of("''"), "f.yaml:1:2: batch \"\": expected q, got the end");
  EXPECT_EQ(error_of("'q512 '"), "f.yaml:1:6: batch \"q512 \": \" \" is not expected here");
}

TEST(BatchGrammar, NumbersHaveLimits) {
  EXPECT_EQ(error_of("0q1"), "f.yaml:1:1: batch \"0q1\": the number is 0");
  EXPECT_EQ(error_of("q0"), "f.yaml:1:2: batch \"q0\": the number is 0");
  EXPECT_EQ(error_of("q16s8"),
            "f.yaml:1:5: batch \"q16s8\": the total length 8 is less than the 16 new tokens that it includes");
  EXPECT_EQ(error_of("q2147483648"), "f.yaml:1:2: batch \"q2147483648\": the number is more than 2147483647");
  EXPECT_EQ(error_of("q99999999999999999999"),
            "f.yaml:1:2: batch \"q99999999999999999999\": the number is more than 2147483647");
  EXPECT_EQ(error_of("q9999999k"), "f.yaml:1:2: batch \"q9999999k\": the number is more than 2147483647");
  EXPECT_EQ(error_of("q1_2q1s2097152k"), "f.yaml:1:8: batch \"q1_2q1s2097152k\": the number is more than 2147483647");
  EXPECT_EQ(error_of("q1_2000000q1s2k"), "f.yaml:1:4: batch \"q1_2000000q1s2k\": more than 2147483647 rows in all");
  EXPECT_EQ(error_of("q2147483647"), "no error");
}

TEST(BatchGrammar, ListsAreNoBatch) {
  EXPECT_EQ(error_of("[q1]"), "f.yaml:1:1: batch: expected text, got a list");
}

}  // namespace
}  // namespace attnlab::experiment

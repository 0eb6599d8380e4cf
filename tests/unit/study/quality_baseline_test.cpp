// The baseline's predictions as a file: what is read back is held against a slow computation in double precision, and a
// file that is not what it should be is an error with a reason, never a figure.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <attnlab/error.h>

#include "unit/report_samples.h"
#include "workloads/quality_baseline.h"

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;
using Logits = std::vector<float>;

constexpr double kRounding = 1e-12;  // of sums of at most a few thousand doubles of about 1

std::vector<Logits> random_logits(int tokens, int vocab, unsigned seed, float spread = 3.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, spread);
  std::vector<Logits> all(tokens, Logits(vocab));
  for (Logits& logits : all)
    for (float& logit : logits) logit = normal(random);
  return all;
}

std::vector<Logits> disturbed(std::vector<Logits> all, unsigned seed, float by) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, by);
  for (Logits& logits : all)
    for (float& logit : logits) logit += normal(random);
  return all;
}

std::vector<double> probabilities(const Logits& logits) {
  std::vector<double> p(logits.begin(), logits.end());
  const double largest = *std::max_element(p.begin(), p.end());
  for (double& one : p) one = std::exp(one - largest);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& one : p) one /= sum;
  return p;
}

double slow_kl(const std::vector<double>& p, const std::vector<double>& q) {
  double kl = 0;
  for (std::size_t i = 0; i < p.size(); ++i) kl += p[i] * std::log(p[i] / q[i]);
  return kl;
}

// The same with everything outside the baseline's `kept` most likely tokens as one bucket.
double slow_bucketed_kl(const std::vector<double>& p, const std::vector<double>& q, int kept) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
  std::vector<double> short_p, short_q;
  double rest_p = 0, rest_q = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (static_cast<int>(i) < kept) {
      short_p.push_back(p[order[i]]);
      short_q.push_back(q[order[i]]);
    } else {
      rest_p += p[order[i]];
      rest_q += q[order[i]];
    }
  }
  short_p.push_back(rest_p);
  short_q.push_back(rest_q);
  return slow_kl(short_p, short_q);
}

int top(const Logits& logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

BaselineIdentity identity(int vocab, char digit = 'a') {
  return {static_cast<std::uint32_t>(vocab), std::string(64, digit)};
}

class QualityBaseline : public testing::Test {
 protected:
  void write(const std::vector<Logits>& all) const {
    BaselineWriter writer(path_, identity(static_cast<int>(all.front().size())));
    for (const Logits& logits : all) writer.add(logits);
    writer.keep();
  }
  // What stands in the way of reading the file against `arm`; empty: nothing.
  std::string problem(const BaselineIdentity& of, const std::vector<Logits>& arm) const {
    try {
      BaselineReader reader(path_, of);
      for (const Logits& logits : arm) static_cast<void>(reader.compare(logits));
      reader.finish();
    } catch (const Error& error) {
      return error.problems().front().text();
    }
    return {};
  }

  report::test::Folder folder_;
  fs::path path_ = folder_ / "baseline.topk";
};

TEST_F(QualityBaseline, AgreesWithASlowKlWhereTheWholeVocabularyIsKept) {
  const auto baseline = random_logits(40, kMostKeptLogits, 1);
  const auto arm = disturbed(baseline, 2, 0.5F);
  write(baseline);
  BaselineReader reader(path_, identity(kMostKeptLogits));
  EXPECT_TRUE(reader.is_exact());
  int same = 0;
  for (std::size_t token = 0; token < arm.size(); ++token) {
    const Divergence found = reader.compare(arm[token]);
    EXPECT_NEAR(found.kl, slow_kl(probabilities(baseline[token]), probabilities(arm[token])), kRounding) << token;
    EXPECT_EQ(found.same_top == 1, top(baseline[token]) == top(arm[token])) << token;
    same += static_cast<int>(found.same_top);
  }
  reader.finish();
  EXPECT_GT(same, 0);
  EXPECT_LT(same, 40);
}

TEST_F(QualityBaseline, IsALowerBoundWithOneBucketWhereTheVocabularyIsLarger) {
  const int vocab = 2000;
  const auto baseline = random_logits(40, vocab, 3, 1.0F);
  const auto arm = disturbed(baseline, 4, 0.5F);
  write(baseline);
  BaselineReader reader(path_, identity(vocab));
  EXPECT_FALSE(reader.is_exact());
  for (std::size_t token = 0; token < arm.size(); ++token) {
    const std::vector<double> p = probabilities(baseline[token]), q = probabilities(arm[token]);
    const double found = reader.compare(arm[token]).kl;
    EXPECT_NEAR(found, slow_bucketed_kl(p, q, kMostKeptLogits), 1e-9) << token;  // 1 - sum loses some digits
    EXPECT_LT(found, slow_kl(p, q)) << token;
    EXPECT_GT(found, 0) << token;
  }
  reader.finish();
}

TEST_F(QualityBaseline, FindsExactlyNothingBetweenTheSameBits) {
  for (const int vocab : {1, 100, 2000}) {
    // Ties among the logits, some of which no top k could hold.
    auto baseline = random_logits(20, vocab, 5);
    for (Logits& logits : baseline)
      for (float& logit : logits) logit = std::round(logit);
    write(baseline);
    BaselineReader reader(path_, identity(vocab));
    for (const Logits& logits : baseline) {
      const Divergence found = reader.compare(logits);
      EXPECT_EQ(found.kl, 0.0) << vocab;
      EXPECT_EQ(found.same_top, 1) << vocab;
      EXPECT_EQ(found.same_bits, 1) << vocab;
    }
    reader.finish();
  }
}

TEST_F(QualityBaseline, SeesOneOtherBitInsideAndOutsideOfWhatIsKept) {
  const auto baseline = random_logits(3, 2000, 8);
  write(baseline);
  BaselineReader reader(path_, identity(2000));
  Logits largest = baseline[0];
  float& kept = *std::ranges::max_element(largest);
  kept = std::nextafter(kept, 0.0F);
  EXPECT_EQ(reader.compare(largest).same_bits, 0);
  Logits smallest = baseline[1];
  *std::ranges::min_element(smallest) += 1;
  EXPECT_EQ(reader.compare(smallest).same_bits, 0) << "the log-sum-exp tells";
  EXPECT_EQ(reader.compare(baseline[2]).same_bits, 1);
}

TEST_F(QualityBaseline, KeepsADistributionThatOneTokenHoldsAlone) {
  Logits sure(1000, -200.0F), sure_elsewhere(1000, -200.0F);
  sure[7] = 200.0F;
  sure_elsewhere[8] = 200.0F;
  write({sure, sure});
  BaselineReader reader(path_, identity(1000));
  EXPECT_EQ(reader.compare(sure).kl, 0.0);
  const Divergence found = reader.compare(sure_elsewhere);
  EXPECT_NEAR(found.kl, 400.0, 1e-9);
  EXPECT_EQ(found.same_top, 0);
}

TEST_F(QualityBaseline, SaysNoFigureOfLogitsThatAreNone) {
  auto baseline = random_logits(2, 300, 6);
  write(baseline);
  BaselineReader reader(path_, identity(300));
  baseline[0][3] = std::nanf("");
  EXPECT_TRUE(std::isnan(reader.compare(baseline[0]).kl));
}

TEST_F(QualityBaseline, RefusesWhatIsMissingForeignOrOfAnotherLength) {
  const auto logits = random_logits(5, 300, 7);
  EXPECT_NE(problem(identity(300), logits).find("are not there"), std::string::npos);
  write(logits);
  EXPECT_EQ(problem(identity(300), logits), "");
  EXPECT_NE(problem(identity(300, 'b'), logits).find("another text"), std::string::npos);
  EXPECT_NE(problem(identity(301), random_logits(5, 301, 7)).find("another vocabulary"), std::string::npos);
  EXPECT_NE(problem(identity(300), random_logits(4, 300, 7)).find("more tokens"), std::string::npos);
  EXPECT_NE(problem(identity(300), random_logits(6, 300, 7)).find("fewer tokens"), std::string::npos);
}

TEST_F(QualityBaseline, RefusesEveryFileThatIsCutShortOrHasAnyByteChanged) {
  const auto logits = random_logits(2, 8, 8);
  write(logits);
  const std::string whole = report::test::read_plainly(path_);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    report::test::write_plainly(path_, whole.substr(0, size));
    EXPECT_NE(problem(identity(8), logits), "") << "cut at " << size;
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x40);
    report::test::write_plainly(path_, changed);
    EXPECT_NE(problem(identity(8), logits), "") << "changed at " << at;
  }
}

TEST_F(QualityBaseline, LeavesNothingBehindUnlessItIsKept) {
  {
    BaselineWriter writer(path_, identity(300));
    for (const Logits& logits : random_logits(5, 300, 9)) writer.add(logits);
    EXPECT_FALSE(fs::exists(path_));
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
  write(random_logits(5, 300, 9));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), {}), 1);
  EXPECT_THROW(BaselineWriter(folder_ / "no/such/folder.topk", identity(300)), Error);
}

}  // namespace
}  // namespace attnlab::experiment

// Two results folders side by side, from planted samples: what differs, by how much, how surely, and what fails a
// build.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "report/summary/compare.h"
#include "unit/report_samples.h"

namespace attnlab::report {
namespace {

using test::arm;

// One arm's rounds of `speed q512`: tokens per second around `mean` with the noise (a share), and exact bytes.
std::vector<TrialResult> rounds(const ArmLayout& of, double mean, double noise, double bytes, int count,
                                unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0.0, noise);
  std::vector<TrialResult> trials;
  for (int round = 0; round < count; ++round)
    trials.push_back(test::trial(of, round, {test::prefill(mean * std::exp(normal(random))), test::kv_bytes(bytes)}));
  return trials;
}

ModelIdentity tiny(const std::string& weights = "w1", double layers = 2) {
  ModelIdentity model;
  model.path = "models/tiny.yaml";
  model.weights = "checkpoint";
  model.architecture = "LlamaForCausalLM";
  model.shape = {{"num_hidden_layers", layers}, {"hidden_size", 64}};
  model.config_sha256 = "c" + std::to_string(layers);
  model.weights_sha256 = weights;
  return model;
}

Results results_of(std::vector<ArmLayout> arms, std::vector<TrialResult> trials) {
  Results results;
  results.environment = {{"cpu", "one"}, {"threads", 2}, {"build", {{"git_revision", "abc"}}}};
  StudyLayout layout = test::layout(std::move(arms));
  layout.model = tiny();
  results.layout = completed(std::move(layout), trials);
  results.trials = std::move(trials);
  return results;
}

Results speed(double mean, double bytes, unsigned seed, int count = 7, double noise = 0.01) {
  return results_of({arm("mha")}, rounds(arm("mha"), mean, noise, bytes, count, seed));
}

const ComparedRow& row_of(const Comparison& comparison, const std::string& metric) {
  for (const ComparedRow& row : comparison.rows)
    if (row.metric == metric) return row;
  throw std::runtime_error("no row of " + metric);
}

// A text of so many windows; window i of A has the loss base(i), of B base(i) * factor(i).
TrialResult text(const std::vector<double>& nll) {
  TrialResult trial = test::trial(arm("mha"), 0, {});
  trial.id = "text";
  trial.workload = "perplexity";
  trial.case_name = "text";
  const std::vector<double> tokens(nll.size(), 10);
  double sum = 0;
  for (const double one : nll) sum += one;
  const double mean = sum / (10.0 * static_cast<double>(nll.size()));
  trial.samples = {{"nll_per_token", "nats", "lower", mean, true}, {"perplexity", "", "lower", std::exp(mean), true}};
  trial.details["windows"] = {{"tokens", tokens}, {"nll", nll}};
  return trial;
}

std::vector<double> losses(int windows, double factor, double noise, unsigned seed) {
  std::mt19937 of_text(1), of_run(seed);
  std::normal_distribution<double> difficulty(30.0, 8.0), normal(0.0, noise);
  std::vector<double> all;
  for (int i = 0; i < windows; ++i) all.push_back(std::abs(difficulty(of_text)) * factor * std::exp(normal(of_run)));
  return all;
}

TEST(Compare, SaysOfARunAndItselfThatNothingDiffers) {
  const Results one = speed(1000, 4096, 1);
  const Comparison found = compare(one, one);
  ASSERT_EQ(found.rows.size(), 2U);
  EXPECT_EQ(row_of(found, "kv_bytes_allocated").change, Change::none);
  EXPECT_EQ(row_of(found, "prefill_tokens_per_second").change, Change::unclear);
  EXPECT_NEAR(*row_of(found, "prefill_tokens_per_second").ratio, 1, 1e-12);
  EXPECT_TRUE(found.warnings.empty());
  EXPECT_TRUE(found.only_a.empty());
  EXPECT_TRUE(found.only_b.empty());
  EXPECT_FALSE(found.has_regression(0));
}

TEST(Compare, FindsASlowdownAndKnowsWhetherItIsBeyondTheThreshold) {
  const Comparison found = compare(speed(1000, 4096, 1), speed(900, 4096, 2));
  const ComparedRow& row = row_of(found, "prefill_tokens_per_second");
  EXPECT_EQ(row.change, Change::worse);
  EXPECT_NEAR(*row.ratio, 0.9, 0.02);
  ASSERT_TRUE(row.interval.has_value());
  EXPECT_LT(row.interval->low, 0.9);
  EXPECT_GT(row.interval->high, 0.9);
  EXPECT_TRUE(found.has_regression(0));
  EXPECT_TRUE(found.has_regression(0.05));   // the whole interval is below 0.95
  EXPECT_FALSE(found.has_regression(0.12));  // and not below 0.88
  const Comparison back = compare(speed(900, 4096, 2), speed(1000, 4096, 1));
  EXPECT_EQ(row_of(back, "prefill_tokens_per_second").change, Change::better);
  EXPECT_FALSE(back.has_regression(0));
}

TEST(Compare, ComparesBytesToTheLastOne) {
  const Comparison found = compare(speed(1000, 1 << 30, 1), speed(1000, (1 << 30) + 1, 2));
  const ComparedRow& row = row_of(found, "kv_bytes_allocated");
  EXPECT_TRUE(row.is_exact);
  EXPECT_EQ(row.change, Change::worse);
  EXPECT_FALSE(row.interval.has_value());
  EXPECT_TRUE(found.has_regression(0));
  EXPECT_FALSE(found.has_regression(0.05));
}

TEST(Compare, SaysNothingOfSingleSamples) {
  const Comparison found = compare(speed(1000, 4096, 1, 1), speed(500, 4096, 2, 1));
  const ComparedRow& row = row_of(found, "prefill_tokens_per_second");
  EXPECT_FALSE(row.interval.has_value());
  EXPECT_EQ(row.change, Change::unclear);
  EXPECT_FALSE(found.has_regression(0));
}

// 95 % for all rows of a comparison at once: with 20 arms without an effect, at most one comparison in twenty marks
// anything (here 400 of them, so at most 5 % and three standard deviations).
TEST(Compare, MarksAtMostOneComparisonInTwentyWhereThereIsNoEffect) {
  constexpr int kComparisons = 400, kArms = 20;
  int marked = 0;
  for (unsigned number = 0; number < kComparisons; ++number) {
    std::vector<ArmLayout> arms;
    std::vector<TrialResult> a, b;
    for (int i = 0; i < kArms; ++i) {
      arms.push_back(arm("arm" + std::to_string(i)));
      for (const auto& [trials, side] : {std::pair(&a, 0U), std::pair(&b, 1U)}) {
        const auto more = rounds(arms.back(), 1000, 0.03, 4096, 7, (number * kArms + i) * 2 + side + 1);
        trials->insert(trials->end(), more.begin(), more.end());
      }
    }
    const Comparison found = compare(results_of(arms, a), results_of(arms, b));
    EXPECT_EQ(found.intervals, kArms);
    const auto is_marked = [](const ComparedRow& row) {
      return row.change == Change::better || row.change == Change::worse;
    };
    marked += std::ranges::any_of(found.rows, is_marked) ? 1 : 0;
  }
  EXPECT_LE(marked, kComparisons * 0.05 + 3 * std::sqrt(kComparisons * 0.05 * 0.95));
  EXPECT_GT(marked, 0) << "the intervals are wider than they say";
}

TEST(Compare, PairsTheWindowsOfATextFromAHundredOn) {
  const auto of = [](const std::vector<double>& nll) { return results_of({arm("mha")}, {text(nll)}); };
  // 1 % more loss, a hundredth of what windows differ among themselves.
  const Comparison found = compare(of(losses(120, 1, 0.01, 1)), of(losses(120, 1.01, 0.01, 2)));
  for (const char* metric : {"nll_per_token", "perplexity"}) {
    const ComparedRow& row = row_of(found, metric);
    ASSERT_TRUE(row.interval.has_value()) << metric;
    EXPECT_EQ(row.change, Change::worse) << metric;
    EXPECT_LT(row.interval->low, *row.ratio) << metric;
    EXPECT_GT(row.interval->high, *row.ratio) << metric;
    EXPECT_NEAR(*row.ratio, row.b / row.a, 1e-9) << metric;
  }
  const Comparison noise = compare(of(losses(120, 1, 0.05, 1)), of(losses(120, 1.001, 0.05, 2)));
  EXPECT_EQ(row_of(noise, "perplexity").change, Change::unclear);
  // Fewer windows: the figures of this text, exactly, and no interval.
  const Comparison few = compare(of(losses(99, 1, 0.01, 1)), of(losses(99, 1.01, 0.01, 2)));
  EXPECT_FALSE(row_of(few, "perplexity").interval.has_value());
  EXPECT_EQ(row_of(few, "perplexity").change, Change::worse);
}

// One arm with speed, bytes and a text.
Results with_text(double speed, double loss) {
  std::vector<TrialResult> trials = rounds(arm("mha"), speed, 0.01, 4096, 7, 1);
  trials.push_back(text(losses(120, loss, 0.001, 3)));
  Results results = results_of({arm("mha")}, trials);
  results.layout.cases.back().data = {
      {"text", "text/sample.txt"}, {"text_bytes", "12"}, {"text_sha256", "aaaa"}, {"max_windows", "all"}};
  return results;
}

void expect_said(const Comparison& found, const std::string& part) {
  const std::string shown = compare_text(found, {"old", "new"}, 0, false);
  EXPECT_NE(shown.find(part), std::string::npos) << part << " is not in\n" << shown;
}

TEST(Compare, DoesNotHoldTheQualityOfOtherWeightsAgainstEachOther) {
  const Results a = with_text(1000, 1);
  Results b = with_text(800, 5);
  b.layout.model = tiny("w2");
  const Comparison found = compare(a, b);
  for (const char* metric : {"perplexity", "nll_per_token"}) {
    const ComparedRow& row = row_of(found, metric);
    EXPECT_EQ(row.change, Change::not_comparable) << metric;
    EXPECT_EQ(row.why_not, "other weights") << metric;
    EXPECT_FALSE(row.ratio.has_value()) << metric;
    EXPECT_FALSE(row.interval.has_value()) << metric;
    EXPECT_FALSE(row.is_regression(0)) << metric;
  }
  EXPECT_EQ(row_of(found, "prefill_tokens_per_second").change, Change::worse) << "speeds of one shape are compared";
  EXPECT_EQ(row_of(found, "kv_bytes_allocated").change, Change::none);
  EXPECT_TRUE(found.has_compared());
  expect_said(found, "not comparable: other weights");
  expect_said(found, "other weights of the same architecture: speeds and bytes are compared, quality is not");
  const auto json = compare_json(found, {"a", "b"}, 0);
  EXPECT_EQ(json.at("inputs").size(), 3U);
  for (const auto& row : json.at("rows"))
    if (row.at("metric") == "perplexity") {
      EXPECT_EQ(row.at("why"), "other weights");
      EXPECT_FALSE(row.contains("ratio"));
    }
}

TEST(Compare, HoldsNothingOfAnotherArchitectureAgainstIt) {
  const Results a = with_text(1000, 1);
  Results b = with_text(100, 1);
  b.layout.model = tiny("w1", 3);
  const Comparison found = compare(a, b);
  for (const ComparedRow& row : found.rows) EXPECT_EQ(row.why_not, "other architecture") << row.metric;
  EXPECT_FALSE(found.has_compared());
  EXPECT_FALSE(found.has_regression(0));
  expect_said(found, "nothing can be compared: other architecture");
  expect_said(found, "the model of B: models/tiny.yaml: LlamaForCausalLM, 3 layers");
}

TEST(Compare, SeesAnotherTextUnderTheSameName) {
  const Results a = with_text(1000, 1);
  Results b = with_text(1000, 5);
  b.layout.cases.back().data["text_sha256"] = "bbbb";
  const Comparison found = compare(a, b);
  EXPECT_EQ(row_of(found, "perplexity").why_not, "other text");
  EXPECT_EQ(row_of(found, "prefill_tokens_per_second").why_not, "") << "of another case";
  expect_said(found, "text_sha256 aaaa in A, text_sha256 bbbb in B");
  b = with_text(1000, 1);
  b.layout.cases.back().data["text"] = "elsewhere/sample.txt";
  b.layout.model.path = "elsewhere/tiny.yaml";
  EXPECT_TRUE(compare(a, b).inputs.empty()) << "only where the files lie is another place";
  EXPECT_EQ(row_of(compare(a, b), "perplexity").why_not, "");
  b.layout.cases.back().data["max_windows"] = "7";
  EXPECT_EQ(row_of(compare(a, b), "perplexity").why_not, "other windows of the text");
}

TEST(Compare, TakesTheQualityOfAnUnknownModelForNothing) {
  const Results a = with_text(1000, 1);
  Results b = with_text(1000, 5);
  b.layout.model = {};
  const Comparison found = compare(a, b);
  EXPECT_EQ(row_of(found, "perplexity").why_not, "the model is not known");
  EXPECT_EQ(row_of(found, "kv_bytes_allocated").why_not, "");
  expect_said(found, "B does not say which model it is of");
}

TEST(Compare, PairsTheExamplesOfRecallFromAHundredOn) {
  const auto of = [](int examples, int lost) {
    TrialResult recall = test::trial(arm("mha"), 0, {});
    recall.workload = "recall";
    recall.case_name = "length64";
    std::vector<double> right;
    double sum = 0;
    for (int i = 0; i < examples; ++i) {
      right.push_back(8 - i % 3 - (i < lost ? 2 : 0));
      sum += right.back();
    }
    recall.samples = {{"recall_accuracy", "share", "higher", sum / (8.0 * examples), true}};
    recall.details["examples"] = {{"right", right},
                                  {"queries", std::vector<double>(static_cast<std::size_t>(examples), 8)}};
    return results_of({arm("mha")}, {recall});
  };
  const ComparedRow one_lost = row_of(compare(of(120, 0), of(120, 1)), "recall_accuracy");
  ASSERT_TRUE(one_lost.interval.has_value());
  EXPECT_NEAR(*one_lost.ratio, one_lost.b / one_lost.a, 1e-9);
  EXPECT_EQ(one_lost.change, Change::unclear) << "one example of many";
  EXPECT_EQ(row_of(compare(of(120, 0), of(120, 60)), "recall_accuracy").change, Change::worse);
  EXPECT_FALSE(row_of(compare(of(99, 0), of(99, 60)), "recall_accuracy").interval.has_value());
}

TEST(Compare, HoldsWhatHasNoVerdictAgainstNothing) {
  const Results a = results_of({arm("mha")}, {text(losses(120, 1, 0, 1))});
  Results b = results_of({arm("mha")}, {text(losses(120, 1.1, 0, 2))});
  EXPECT_TRUE(compare(a, b).has_regression(0));
  b.trials[0].details["no_verdict"] = "no token read the cache";
  const Comparison found = compare(a, b);
  EXPECT_FALSE(found.has_compared());
  EXPECT_FALSE(found.has_regression(0));
  ASSERT_EQ(found.rows.size(), 2u) << "shown all the same";
  for (const ComparedRow& row : found.rows) {
    EXPECT_EQ(row.why_not, "no verdict");
    EXPECT_FALSE(row.ratio || row.interval);
  }
  expect_said(found, "mha/full, perplexity text: not compared: no token read the cache");
  expect_said(found, "nothing can be compared: no verdict");
}

TEST(Compare, ComparesDistancesFromOneArmOnly) {
  Results a = with_text(1000, 1), b = a;
  for (Results* one : {&a, &b}) {
    one->trials.back().samples.push_back({"kl_to_baseline", "nats", "lower", one == &a ? 0.1 : 0.2, true});
  }
  EXPECT_EQ(row_of(compare(a, b), "kl_to_baseline").change, Change::worse);
  b.layout.measured_against = "gqa/full";
  EXPECT_EQ(row_of(compare(a, b), "kl_to_baseline").why_not, "against another arm");
  EXPECT_EQ(row_of(compare(a, b), "perplexity").why_not, "");
}

TEST(Compare, TakesAReferenceWithOtherOptionsForAnotherArm) {
  Results a = with_text(1000, 1), b = a;
  for (Results* one : {&a, &b}) {
    one->trials.back().samples.push_back({"kl_to_baseline", "nats", "lower", one == &a ? 0.1 : 0.2, true});
    one->layout.arms.front().resolved = {{"cache", {{"window", {{"window", one == &a ? 8 : 16}}}}}};
  }
  ASSERT_EQ(a.layout.measured_against, a.layout.arms.front().name);
  const Comparison found = compare(a, b);
  EXPECT_EQ(row_of(found, "kl_to_baseline").why_not, "against another arm");
  EXPECT_EQ(row_of(found, "perplexity").why_not, "");
  expect_said(found, "other options in B: it is not compared");
}

TEST(Compare, TakesTheRoundingOfLossesForNoChange) {
  TrialResult a = text(losses(5, 1, 0, 1)), b = a;
  b.samples[0].value *= 1 + 1e-9;
  const Comparison found = compare(results_of({arm("mha")}, {a}), results_of({arm("mha")}, {b}));
  EXPECT_EQ(row_of(found, "nll_per_token").change, Change::unclear);
  EXPECT_EQ(row_of(found, "perplexity").change, Change::none);
  EXPECT_FALSE(found.has_regression(0));
}

TEST(Compare, NamesWhatOnlyOneHasAndWhatWasNotTheSame) {
  Results a = results_of({arm("mha"), arm("gqa")}, rounds(arm("mha"), 1000, 0.01, 4096, 3, 1));
  Results b = results_of({arm("mha"), arm("mqa")}, rounds(arm("mha"), 1000, 0.01, 4096, 3, 2));
  b.layout.cases.push_back({"speed", "q2k"});
  b.environment["threads"] = 4;
  b.environment["cpu"] = "another";
  b.environment["build"]["git_revision"] = "def";
  for (TrialResult& trial : b.trials) trial.samples.push_back({"weight_bytes", "bytes", "lower", 1, true});
  const Comparison found = compare(a, b);
  EXPECT_EQ(found.only_a, std::vector<std::string>{"arm gqa/full"});
  EXPECT_EQ(found.only_b,
            (std::vector<std::string>{"arm mqa/full", "case speed q2k", "weight_bytes of 1 arm and case"}));
  EXPECT_EQ(found.warnings, (std::vector<std::string>{"processor: one in A, another in B", "threads: 2 in A, 4 in B",
                                                      "revision of AttnLab: abc in A, def in B"}));
  const std::string shown = compare_text(found, {"old", "new"}, 0, false);
  for (const char* part : {"A  old", "B  new", "warning: threads: 2 in A, 4 in B", "only in B: arm mqa/full"})
    EXPECT_NE(shown.find(part), std::string::npos) << part << " is not in\n" << shown;
}

TEST(Compare, AnArmThatFailsInBOnlyIsARegressionOfAnySize) {
  const Results a = speed(1000, 4096, 1);
  Results b = speed(1000, 4096, 2);
  b.trials.back().status = "failed";
  b.trials.back().reason = "signal 11";
  b.trials.back().samples.clear();
  const Comparison found = compare(a, b);
  ASSERT_EQ(found.broken.size(), 1U);
  EXPECT_NE(found.broken.front().find("signal 11"), std::string::npos);
  EXPECT_TRUE(found.has_regression(0.5));
  EXPECT_FALSE(compare(b, a).has_regression(0));
}

TEST(Compare, ANumberThatBecomesNoneIsWorse) {
  Results a = speed(1000, 4096, 1), b = a;
  for (Results* one : {&a, &b})
    for (TrialResult& trial : one->trials)
      trial.samples.push_back({"nll_per_token", "nats", "lower", one == &b ? std::nan("") : 3.0, true});
  const Comparison found = compare(a, b);
  EXPECT_EQ(row_of(found, "nll_per_token").change, Change::worse);
  EXPECT_TRUE(found.has_regression(0.5));
  EXPECT_EQ(row_of(compare(b, b), "nll_per_token").change, Change::none);
  const auto json = compare_json(found, {"a", "b"}, 0);
  EXPECT_EQ(nlohmann::json::parse(json.dump()).at("rows").at(2).at("b"), "nan");
}

TEST(Compare, ShowsTextFromFilesAsPlainWords) {
  ArmLayout odd = arm("mha");
  odd.name = "<script>|\x1b[2J";
  const Results one = results_of({odd}, rounds(odd, 1000, 0.01, 4096, 3, 1));
  const Comparison found = compare(one, one);
  EXPECT_EQ(compare_text(found, {"a", "b"}, 0, true).find('\x1b'), std::string::npos);
  const std::string markdown = compare_markdown(found, {"a", "b"}, 0, true);
  EXPECT_EQ(markdown.find("<script>"), std::string::npos);
  EXPECT_NE(markdown.find("&lt;script&gt;\\|"), std::string::npos) << markdown;
}

}  // namespace
}  // namespace attnlab::report

// Recall: examples are what Arora et al. define, the constructed model answers whatever its cache still holds and
// nothing else, and what is predicted from the data is what happens, to the last query.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include <attnlab/error.h>
#include <fmt/format.h>

#include "assembly/constructed_conflict.h"
#include "model/constructed_recall.h"
#include "reference/plugins.h"
#include "study/plan.h"
#include "tasks/recall_data.h"
#include "unit/model_test_files.h"
#include "workloads/recall.h"
#include "workloads/recall_prediction.h"

namespace attnlab::experiment {
namespace {

using model::TokenId;
using tasks::recall_example;
using tasks::recall_problem;
using tasks::RecallExample;
using tasks::RecallQuery;
using tasks::RecallShape;

TEST(RecallData, AnExampleIsPairsThenPlacesThenNothingOfThemElsewhere) {
  for (const RecallShape shape :
       {RecallShape{.length = 64, .pairs = 16}, RecallShape{.length = 256, .pairs = 16},
        RecallShape{.length = 40, .pairs = 5, .vocab = 11}, RecallShape{.length = 4, .pairs = 1}})
    for (int number = 0; number < 50; ++number) {
      SCOPED_TRACE(testing::Message() << shape.length << ", " << shape.pairs << ", example " << number);
      const RecallExample example = recall_example(shape, 5, number);
      ASSERT_EQ(example.tokens.size(), static_cast<std::size_t>(shape.length));
      const std::set<TokenId> prompt(example.tokens.begin(), example.tokens.begin() + shape.prompt());
      EXPECT_EQ(static_cast<int>(prompt.size()), shape.prompt()) << "a key or a value is there twice";
      for (int position = 0; position < shape.prompt(); ++position)
        EXPECT_EQ(example.tokens[position] >= shape.vocab / 2, position % 2 == 1);

      ASSERT_EQ(static_cast<int>(example.queries.size()), shape.pairs);
      std::set<int> asked;
      std::set<int> at;
      for (const RecallQuery& query : example.queries) {
        EXPECT_TRUE(query.position >= shape.prompt() && query.position < shape.length && query.position % 2 == 0);
        EXPECT_EQ(query.value, example.tokens[query.value_position]);
        EXPECT_EQ(example.tokens[query.position], example.tokens[query.value_position - 1]);
        asked.insert(query.value_position);
        at.insert(query.position);
      }
      EXPECT_EQ(static_cast<int>(asked.size()), shape.pairs);
      EXPECT_EQ(static_cast<int>(at.size()), shape.pairs);
      EXPECT_TRUE(std::ranges::is_sorted(example.queries, {}, &RecallQuery::position));
      for (int position = shape.prompt(); position < shape.length; ++position) {
        const TokenId token = example.tokens[position];
        EXPECT_TRUE(token >= 0 && token < shape.vocab);
        EXPECT_EQ(prompt.contains(token), at.contains(position)) << "at " << position;
      }
    }
}

TEST(RecallData, IsAFunctionOfShapeSeedAndNumber) {
  const RecallShape shape{.length = 64, .pairs = 8};
  const auto tokens = [&](std::uint64_t seed, int number) { return recall_example(shape, seed, number).tokens; };
  EXPECT_EQ(tokens(1, 3), tokens(1, 3));
  EXPECT_NE(tokens(1, 3), tokens(1, 4));
  EXPECT_NE(tokens(1, 3), tokens(2, 3));
  // For ever: results of another day are of the same examples.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const TokenId token : tokens(1, 0)) hash = (hash ^ static_cast<std::uint64_t>(token)) * 0x100000001b3;
  EXPECT_EQ(hash, 0x6efa9aafd50cb76du);
}

// The first two places that are drawn, counted, against r^-0.99 without replacement.
TEST(RecallData, PlacesAreDrawnByTheirWeights) {
  const RecallShape shape{.length = 4 + 2 * 12, .pairs = 2, .vocab = 64};
  const int places = shape.places();
  constexpr int kExamples = 40'000;
  std::vector<double> first(places), second(places);
  for (int number = 0; number < kExamples; ++number)
    for (const RecallQuery& query : recall_example(shape, 9, number).queries)
      ++(query.value_position == 1 ? first : second)[(query.position - shape.prompt()) / 2];
  std::vector<double> share(places);
  double sum = 0;
  for (int place = 0; place < places; ++place) sum += share[place] = std::pow(place + 1.0, 0.01 - 1);
  for (double& one : share) one /= sum;
  const auto expect = [](double count, double probability, const char* which, int place) {
    EXPECT_NEAR(count / kExamples, probability, 5 * std::sqrt(probability / kExamples)) << which << " at " << place;
  };
  for (int place = 0; place < places; ++place) {
    double after = 0;
    for (int other = 0; other < places; ++other)
      if (other != place) after += share[other] * share[place] / (1 - share[other]);
    expect(first[place], share[place], "the first key", place);
    expect(second[place], after, "the second key", place);
  }
}

TEST(RecallData, FillersAreDrawnAlikeFromAllTokensThatAreLeft) {
  const RecallShape shape{.length = 1000, .pairs = 2, .vocab = 16};
  std::vector<double> counts(shape.vocab), expected(shape.vocab);
  for (int number = 0; number < 20; ++number) {
    const RecallExample example = recall_example(shape, 2, number);
    const std::set<TokenId> prompt(example.tokens.begin(), example.tokens.begin() + shape.prompt());
    for (TokenId token = 0; token < shape.vocab; ++token)
      if (!prompt.contains(token))
        expected[token] += (shape.length - 3.0 * shape.pairs) / (shape.vocab - shape.prompt());
    for (int position = shape.prompt(); position < shape.length; ++position)
      if (!prompt.contains(example.tokens[position])) ++counts[example.tokens[position]];
  }
  for (TokenId token = 0; token < shape.vocab; ++token)
    EXPECT_NEAR(counts[token], expected[token], 5 * std::sqrt(expected[token])) << "token " << token;
}

TEST(RecallData, ShapesThatHoldNoExampleAreNamed) {
  const auto problem = [](int length, int pairs, int vocab) {
    const auto found = recall_problem({.length = length, .pairs = pairs, .vocab = vocab});
    return found ? found->what : "none";
  };
  EXPECT_EQ(problem(64, 16, 8192), "none");
  EXPECT_EQ(problem(64, 17, 8192), "17 pairs do not fit into a length of 64");
  EXPECT_EQ(problem(65, 2, 8192), "the length 65 is odd");
  EXPECT_EQ(problem(64, 16, 33), "none");
  EXPECT_EQ(problem(64, 16, 32), "16 pairs leave nothing of a vocabulary of 32");
}

TEST(RecallCodes, AgreeInHalfOfTheirEntriesMoreOrLessAnEighth) {
  constexpr int kTokens = model::kMostRecallTokens;
  std::vector<std::array<std::uint64_t, 2>> bits(kTokens);
  std::vector<float> code(model::kRecallCode);
  for (int token = 0; token < kTokens; ++token) {
    model::write_recall_code(token, code);
    EXPECT_EQ(code[0], 1);
    for (int i = 0; i < model::kRecallCode; ++i) {
      ASSERT_EQ(std::abs(code[i]), 1);
      if (code[i] < 0) bits[token][i / 64] |= std::uint64_t{1} << (i % 64);
    }
  }
  std::set<int> distances;
  for (int a = 0; a < kTokens; a += 7)
    for (int b = 0; b < a; ++b)
      distances.insert(std::popcount(bits[a][0] ^ bits[b][0]) + std::popcount(bits[a][1] ^ bits[b][1]));
  EXPECT_EQ(distances, (std::set<int>{56, 64, 72}));
}

// The constructed model in an arm, as the program makes it.
struct ArmUnderTest {
  std::string attention = "gqa";
  std::string position = "rope";
  std::string cache = "full";

  [[nodiscard]] std::string text() const { return attention + " " + position + " " + cache; }
  [[nodiscard]] ResolvedArm resolved() const {
    const ComponentLookup lookup = lookup_in(reference::plugins());
    Arm arm;
    arm.attention = parse_layered(Kind::attention, attention, "--attention", lookup);
    arm.position = parse_layered(Kind::position, position, "--position", lookup);
    arm.cache = parse_layered(Kind::cache, cache, "--cache", lookup);
    return resolve_arm(arm, source().config(), reference::plugins());
  }
  [[nodiscard]] Measured measure(const RecallShape& shape, int examples) const {
    const ResolvedArm arm = resolved();
    EXPECT_TRUE(arm.conflicts.empty()) << text();
    EXPECT_EQ(recall_conflict(arm, source().config()), "") << text();
    model::Decoder decoder = build_decoder(arm, source(), reference::plugins(), {});
    RecallWorkload workload;
    workload.shape = shape;
    workload.examples = examples;
    return measure_recall(decoder, workload, 1, prediction(decoder, arm, shape.length));
  }
  [[nodiscard]] static std::optional<RecallPrediction> prediction(const model::Decoder& decoder, const ResolvedArm& arm,
                                                                  int length) {
    model::Session session = decoder.make_session(1, length);
    return predict_recall(decoder, length, compression_of(arm, reference::plugins(), session));
  }
  [[nodiscard]] std::string conflict() const { return recall_conflict(resolved(), source().config()); }
  static const ModelSource& source() {
    static const ModelSource source = ModelSource::from_code("recall");
    return source;
  }
};

double value_of(const Measured& measured, std::string_view metric) {
  for (const report::Sample& sample : measured.samples)
    if (sample.metric == metric) return sample.value;
  ADD_FAILURE() << "no " << metric;
  return 0;
}

TEST(ConstructedRecall, AnswersEverythingWithAFullCacheUnderEveryHeadLayout) {
  const RecallShape shape{.length = 256, .pairs = 16};
  for (const ArmUnderTest& arm :
       {ArmUnderTest{.attention = "mha"}, ArmUnderTest{.attention = "gqa"}, ArmUnderTest{.attention = "mqa"},
        ArmUnderTest{.attention = "{gqa: {kv_heads: 4}}"}, ArmUnderTest{.attention = "{mha: {qk_norm: true}}"},
        ArmUnderTest{.attention = "{gqa: {sink_logit: true, qkv_bias: true, o_bias: true}}"},
        ArmUnderTest{.attention = "{mqa: {}, layers: {1: mha}}"},
        ArmUnderTest{.position = "{rope: {}, layers: {1: none}}"},
        ArmUnderTest{.cache = "{full: {keys: unrotated}}"}}) {
    const Measured measured = arm.measure(shape, 8);
    EXPECT_EQ(value_of(measured, "recall_accuracy"), 1) << arm.text();
    EXPECT_EQ(value_of(measured, "recall_predicted"), 1) << arm.text();
    EXPECT_EQ(measured.details.at("queries"), 8 * 16);
  }
}

TEST(ConstructedRecall, AnswersEverythingInLongAndInCrowdedExamples) {
  EXPECT_EQ(value_of(ArmUnderTest{}.measure({.length = 4, .pairs = 1}, 8), "recall_accuracy"), 1);
  EXPECT_EQ(value_of(ArmUnderTest{}.measure({.length = 256, .pairs = 64}, 8), "recall_accuracy"), 1);
  EXPECT_EQ(value_of(ArmUnderTest{}.measure({.length = 4096, .pairs = 512}, 1), "recall_accuracy"), 1);
}

// What the definition of the cache leaves, counted from the data and without the prediction's code.
int answerable(const RecallShape& shape, int examples, int sinks, int window) {
  int count = 0;
  for (int number = 0; number < examples; ++number)
    for (const RecallQuery& query : recall_example(shape, 1, number).queries)
      if (query.position - query.value_position <= window - 1 || query.value_position < sinks) ++count;
  return count;
}

void expect_as_predicted(const ArmUnderTest& arm, const RecallShape& shape, int sinks, int window) {
  constexpr int kExamples = 4;
  const Measured measured = arm.measure(shape, kExamples);
  const int right = answerable(shape, kExamples, sinks, window);
  EXPECT_EQ(measured.details.at("unlike_prediction"), 0) << arm.text();
  EXPECT_EQ(measured.details.at("answered"), right) << arm.text();
  EXPECT_EQ(measured.details.at("predicted"), right) << arm.text();
  EXPECT_EQ(value_of(measured, "recall_predicted"), right / static_cast<double>(kExamples * shape.pairs)) << arm.text();
}

TEST(ConstructedRecall, WithAWindowAnswersWhatIsPredictedToTheLastQuery) {
  const RecallShape shape{.length = 200, .pairs = 12};
  for (const int window : {1, 2, 3, 10, 11, 25, 40, 100, 199, 200, 500}) {
    expect_as_predicted({.cache = fmt::format("{{window: {{window: {}}}}}", window)}, shape, 0, window);
    expect_as_predicted({.attention = fmt::format("{{mha: {{window: {}}}}}", window)}, shape, 0, window);
  }
  expect_as_predicted({.attention = "mqa", .cache = "{window: {window: 40, keys: unrotated}}"}, shape, 0, 40);
  expect_as_predicted({.attention = "{gqa: {window: 30}}", .cache = "{window: {window: 60}}"}, shape, 0, 30);
}

TEST(ConstructedRecall, WithSinksAnswersWhatIsPredictedToTheLastQuery) {
  const RecallShape shape{.length = 200, .pairs = 12};
  const std::vector<std::pair<int, int>> sizes{{0, 8}, {1, 1},   {2, 1},  {2, 2},   {3, 20}, {4, 28},
                                               {7, 1}, {16, 16}, {24, 1}, {100, 2}, {4, 300}};
  for (const auto& [sinks, window] : sizes)
    for (const char* positions : {"renumbered", "original"})
      expect_as_predicted(
          {.cache = fmt::format("{{sink: {{sinks: {}, window: {}, positions: {}}}}}", sinks, window, positions)}, shape,
          sinks, window);
}

TEST(RecallPrediction, IsThereOnlyWhereTheDefinitionSaysWhatStays) {
  const auto prediction = [](const ArmUnderTest& arm) {
    const ResolvedArm resolved = arm.resolved();
    const model::Decoder decoder = build_decoder(resolved, ArmUnderTest::source(), reference::plugins(), {});
    return ArmUnderTest::prediction(decoder, resolved, 64).has_value();
  };
  EXPECT_TRUE(prediction({.cache = "full"}));
  EXPECT_TRUE(prediction({.cache = "{window: {window: 8}, layers: {1: {window: {window: 8}}}}"}));
  EXPECT_FALSE(prediction({.cache = "{window: {window: 8}, layers: {1: full}}"}));
  EXPECT_FALSE(prediction({.attention = "{gqa: {window: 8}}", .cache = "{sink: {sinks: 1, window: 8}}"}));
  EXPECT_TRUE(prediction({.attention = "{gqa: {window: 8}}", .cache = "{sink: {sinks: 0, window: 8}}"}));
  EXPECT_FALSE(prediction({.cache = "{knorm: {budget: 8}}"}));
  EXPECT_FALSE(prediction({.cache = "{h2o: {heavy: 4, recent: 4}}"}));
  EXPECT_FALSE(prediction({.cache = "{snapkv: {budget: 16, window: 8}}"}));
  EXPECT_FALSE(prediction({.cache = "{quest: {budget: 16, dense_layers: 0}}"}));
}

TEST(ConstructedRecall, SaysWhatCannotExpressIt) {
  EXPECT_EQ(ArmUnderTest{}.conflict(), "");
  EXPECT_EQ((ArmUnderTest{.position = "{rope: {scaling: none}}"}.conflict()), "");
  const std::string at_position =
      " cannot express the constructed recall model; its first layer finds the token before by a rotation of one step: "
      "use rope without options (none will do after the first layer)";
  EXPECT_EQ(ArmUnderTest{.position = "alibi"}.conflict(), "position \"alibi\" in layer 0" + at_position);
  EXPECT_EQ(ArmUnderTest{.position = "none"}.conflict(), "position \"none\" in layer 0" + at_position);
  EXPECT_EQ((ArmUnderTest{.position = "{rope: {theta: 10000}}"}.conflict()),
            "position \"rope\" in layer 0" + at_position);
  EXPECT_EQ((ArmUnderTest{.attention = "{gqa: {softcap: 50}}"}.conflict()),
            "the constructed recall model is made for attention without softcap; leave it out");
}

TEST(RecallPlan, IsCheckedAgainstTheModelBeforeAnythingRuns) {
  const model_test::TempFolder folder;
  const auto plan = [&](const std::string& model, const std::string& arms, const std::string& recall) {
    const std::string yaml =
        "name: x\nmodel: " + model + "\narms: " + arms + "\nworkloads:\n  - recall: " + recall + "\n";
    return make_plan(folder.write("f.yaml", yaml), {});
  };
  const std::string tiny = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";
  EXPECT_NE(model_test::refusal([&] {
              (void)plan(tiny, "[{}]", "{length: 64, pairs: 4, examples: 2}");
            }).find("f.yaml:5:5: recall: a vocab of 8192 is more than the 512 tokens of the model; give vocab: 512"),
            std::string::npos);
  EXPECT_NE(model_test::refusal([&] {
              (void)plan("{constructed: recall}", "[{position: alibi}]", "{length: 64, pairs: 4, examples: 2}");
            }).find("position \"alibi\" in layer 0 cannot express the constructed recall model"),
            std::string::npos);

  const Plan made = plan("{constructed: recall}", "[{cache: full}, {cache: {window: {window: 8}}}]",
                         "{length: 64, pairs: 4, examples: 2}");
  ASSERT_EQ(made.cases.size(), 1U);
  EXPECT_EQ(made.cases[0].label, "length64_pairs4_examples2");
  EXPECT_TRUE(made.cases[0].deterministic);
  const nlohmann::ordered_json json = plan_json(made);
  EXPECT_EQ(json.at("model").dump(), R"({"constructed":"recall"})");
  EXPECT_EQ(json.at("cases")[0].at("vocab"), 8192);
  EXPECT_EQ(json.at("cases")[0].at("seed"), 1);
}

}  // namespace
}  // namespace attnlab::experiment

// Answers: the constructed recall model answers whatever its cache still holds, so the share of right answers of any
// recall task is known from its examples; longer answers count as one, and a question belongs to the prompt or not.
#include <gtest/gtest.h>

#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "assembly/arm_model.h"
#include "choices/layered_choice.h"
#include "model/constructed_recall.h"
#include "reference/plugins.h"
#include "unit/model_test_files.h"
#include "workloads/answers.h"

namespace attnlab::experiment {
namespace {

using tasks::kNoTarget;
using tasks::TokenId;

ChosenWorkload workload_of(const std::string& yaml) {
  config::ProblemList problems;
  std::vector<ChosenWorkload> read = read_workloads(config::parse_text("[" + yaml + "]", "f.yaml"), {}, problems);
  problems.throw_if_any();
  return read.at(0);
}

std::string problems_of(const std::string& yaml) {
  config::ProblemList problems;
  (void)read_workloads(config::parse_text("[" + yaml + "]", "f.yaml"), {}, problems);
  std::string text;
  for (const Problem& problem : problems.sorted()) text += problem.text() + "\n";
  return text;
}

const AnswersWorkload& answers_of(const ChosenWorkload& chosen) {
  return dynamic_cast<const AnswersWorkload&>(*chosen.workload);
}

const ModelSource& recall_model() {
  static const ModelSource source = ModelSource::from_code("recall");
  return source;
}

Measured measure(const std::string& yaml, const std::string& cache) {
  const ComponentLookup lookup = lookup_in(reference::plugins());
  Arm arm;
  arm.attention = parse_layered(Kind::attention, "gqa", "--attention", lookup);
  arm.position = parse_layered(Kind::position, "rope", "--position", lookup);
  arm.cache = parse_layered(Kind::cache, cache, "--cache", lookup);
  model::Decoder decoder = build_decoder(resolve_arm(arm, recall_model().config(), reference::plugins()),
                                         recall_model(), reference::plugins(), {});
  const ChosenWorkload chosen = workload_of(yaml);
  const AnswersWorkload& answers = answers_of(chosen);
  return measure_answers(decoder, answers, *answers.task_for(recall_model()), 1);
}

double value_of(const Measured& measured, std::string_view metric) {
  for (const report::Sample& sample : measured.samples)
    if (sample.metric == metric) return sample.value;
  ADD_FAILURE() << "no " << metric;
  return 0;
}

constexpr int kExamples = 6;
constexpr const char* kRecall = "answers: {task: {recall: {length: 120, pairs: 8}}, examples: 6}";

// Of the examples that the workload asks: those whose value is at most `window` - 1 tokens before, or in the sinks.
int answerable(int sinks, int window) {
  const ChosenWorkload chosen = workload_of(kRecall);
  const AnswersWorkload& answers = answers_of(chosen);
  const auto task = answers.task_for(recall_model());
  int count = 0;
  for (int number = 0; number < kExamples; ++number) {
    const tasks::Example example = answers.example(*task, 1, number);
    for (std::int64_t position = 0; position < std::ssize(example.input); ++position) {
      if (example.targets[position] == kNoTarget) continue;
      const auto value = std::ranges::find(example.input, example.targets[position]) - example.input.begin();
      EXPECT_LT(value, 16) << "the value is not in the pairs";
      count += position - value <= window - 1 || value < sinks ? 1 : 0;
    }
  }
  return count;
}

TEST(AnswersWorkload, HaveACaseForEveryLengthAndDepthOfARange) {
  config::ProblemList problems;
  const std::vector<ChosenWorkload> chosen = read_workloads(
      config::parse_text(
          "[answers: {task: {needle: {length: {range: [64, 128], factor: 2}, depth: [{range: [0, 1], step: "
          "0.5}]}}, examples: 2}]",
          "f.yaml"),
      {}, problems);
  EXPECT_TRUE(problems.empty());
  std::set<std::pair<double, double>> cells;
  std::set<std::string> labels, kinds;
  FileHashes files;
  for (const ChosenWorkload& one : chosen) {
    const auto numbers = one.workload->numbers(0);
    cells.emplace(numbers.at("length"), numbers.at("depth"));
    labels.insert(one.labels.front());
    kinds.insert(one.workload->data(files, {1}).at("kind"));
  }
  EXPECT_EQ(cells, (std::set<std::pair<double, double>>{{64, 0}, {64, 0.5}, {64, 1}, {128, 0}, {128, 0.5}, {128, 1}}));
  EXPECT_EQ(labels.size(), 6U);
  EXPECT_EQ(kinds, (std::set<std::string>{"needle"})) << "one table of them";
}

TEST(Answers, AreThoseOfTheRowsThatTheCacheStillHolds) {
  const Measured full = measure(kRecall, "full");
  EXPECT_EQ(value_of(full, "answer_accuracy"), 1);
  EXPECT_EQ(value_of(full, "token_accuracy"), 1);
  EXPECT_EQ(full.details.at("queries"), 8 * kExamples);
  for (const auto& [sinks, window] : {std::pair{0, 10}, {0, 40}, {4, 20}, {10, 1}}) {
    const Measured measured =
        measure(kRecall, sinks == 0 ? fmt::format("{{window: {{window: {}}}}}", window)
                                    : fmt::format("{{sink: {{sinks: {}, window: {}}}}}", sinks, window));
    const int right = answerable(sinks, window);
    EXPECT_EQ(measured.details.at("answered"), right) << sinks << " " << window;
    EXPECT_EQ(value_of(measured, "answer_accuracy"), right / (8.0 * kExamples));
    EXPECT_TRUE(right > 0 && right < 8 * kExamples) << "this shows nothing";
    // By example, for intervals.
    EXPECT_EQ(measured.details.at("examples").at("queries").size(), static_cast<std::size_t>(kExamples));
  }
}

TEST(Answers, OfSeveralTokensAreRightIfAllAre) {
  // The answer to copy is a run of tokens; a model that only knows what follows a token gets some of them.
  const Measured copied =
      measure("answers: {task: {copy: {length: 40, tokens: 12, vocab: 8, feed: answer}}, examples: 6}", "full");
  EXPECT_EQ(copied.details.at("queries"), 6);
  EXPECT_EQ(value_of(copied, "answer_accuracy"), 0);
  EXPECT_GT(value_of(copied, "token_accuracy"), 0);
  EXPECT_LT(value_of(copied, "token_accuracy"), 1);
  EXPECT_EQ(value_of(copied, "tokens_scored"), 6 * 12);
}

TEST(Answers, ThePromptEndsBeforeTheQuestionOrWithIt) {
  for (const char* query : {"after", "before"}) {
    const ChosenWorkload chosen =
        workload_of(fmt::format("answers: {{task: {{needle: {{length: 200}}}}, examples: 3, query: {}}}", query));
    const AnswersWorkload& answers = answers_of(chosen);
    const model_test::TempFolder folder;
    const ModelSource bytes = ModelSource::open(
        folder.write("model.yaml",
                     "hidden_size: 16\nnum_hidden_layers: 1\nnum_attention_heads: 1\nvocab_size: 256\n"
                     "intermediate_size: 16\nmax_position_embeddings: 256\n"));
    const auto task = answers.task_for(bytes);
    for (int number = 0; number < 3; ++number) {
      const tasks::Example example = answers.example(*task, 1, number);
      const std::string text(example.input.begin(), example.input.end());
      const auto prompt = static_cast<std::size_t>(answers.prompt(example));
      const std::string question = "\nWhat is the magic number of the ";
      if (std::string(query) == "after") {
        EXPECT_TRUE(text.substr(prompt).starts_with(question)) << text.substr(prompt);
      } else {
        EXPECT_TRUE(text.substr(0, prompt).ends_with("? ")) << text.substr(0, prompt);
        EXPECT_NE(example.targets[prompt - 1], kNoTarget) << "the first digit is predicted by the prompt";
      }
    }
    EXPECT_EQ(chosen.labels.at(0),
              std::string("needle_length200_examples3") + (std::string(query) == "before" ? "_query_before" : ""));
  }
}

TEST(Answers, AreCutAsTheTextOfTheModel) {
  const std::filesystem::path folder = std::filesystem::path(ATTNLAB_TEST_DATA_DIR) / "tokenizer/bytelevel";
  const model_test::TempFolder place;
  const ModelSource model = ModelSource::open(place.write("model.yaml",
                                                          "hidden_size: 16\nnum_hidden_layers: 1\n"
                                                          "num_attention_heads: 1\nvocab_size: 60000\n"
                                                          "intermediate_size: 16\n"))
                                .with_tokenizer(folder);
  EXPECT_EQ(model.text_folder(), folder);
  const auto tokenizer = model::load_tokenizer(folder);
  for (const char* task : {"{needle: {length: 250, keys: 2}}", "{mix: [{needle: {length: 250, keys: 2}, share: 1}]}"}) {
    const ChosenWorkload chosen = workload_of(fmt::format("answers: {{task: {}, examples: 1}}", task));
    const AnswersWorkload& answers = answers_of(chosen);
    const auto made = answers.task_for(model);
    const tasks::Example example = answers.example(*made, 1, 0);
    EXPECT_NE(tokenizer->decode(example.input).find("The magic number of the "), std::string::npos) << task;
  }
}

TEST(Answers, AreOfAnotherTrialWhereAFileOfTheTaskIsAnother) {
  const model_test::TempFolder place;
  const std::filesystem::path from = std::filesystem::path(ATTNLAB_TEST_DATA_DIR) / "tokenizer/bytelevel";
  std::filesystem::copy(from, place.path() / "cut");
  const ChosenWorkload chosen = workload_of(fmt::format(
      "answers: {{task: {{needle: {{length: 250, tokenizer: {}}}}}, examples: 1}}", (place.path() / "cut").string()));
  const auto identity = [&] {
    FileHashes files;
    nlohmann::ordered_json identity = nlohmann::ordered_json::array();
    answers_of(chosen).identify(identity, files);
    return identity.dump();
  };
  const std::string before = identity();
  place.write("cut/tokenizer_config.json", "{\"x\": 1}");
  EXPECT_NE(identity(), before);
}

TEST(Answers, WhatTheTaskCannotAnswerIsRefused) {
  EXPECT_EQ(problems_of("answers: {task: {markov: {length: 40}}, examples: 2}"),
            "f.yaml:1:19: answers: markov has no right answers to count; give a task whose answers follow from the "
            "input, as needle, recall or copy\n");
  EXPECT_EQ(problems_of("answers: {task: {recall: {pairs: 0}}, examples: 2}"),
            "f.yaml:1:35: pairs: 0 is outside 1..262144\n");
  EXPECT_NE(problems_of("answers: {task: recall, examples: 2, query: during}").find("during"), std::string::npos);
  // How long a text is depends on the model: that is found when it is there.
  const ChosenWorkload chosen_short = workload_of("answers: {task: {needle: {length: 20}}, examples: 2}");
  try {
    (void)answers_of(chosen_short).task_for(recall_model());
    ADD_FAILURE() << "a length of 20 has room for nothing";
  } catch (const Error& error) {
    EXPECT_TRUE(error.problems().at(0).what.starts_with("needle: a length of 20 has no room")) << error.what();
    EXPECT_EQ(error.problems().at(0).where, "f.yaml:1:19");
  }
  EXPECT_EQ(problems_of("answers: {task: {neddle: }, examples: 2}"),
            "f.yaml:1:19: unknown task \"neddle\"; did you mean \"needle\"?\n");
  const ChosenWorkload chosen = workload_of("answers: {task: {recall: {vocab: 100000}}, examples: 2}");
  EXPECT_THROW((void)answers_of(chosen).task_for(recall_model()), Error) << "the vocabulary";
}

}  // namespace
}  // namespace attnlab::experiment

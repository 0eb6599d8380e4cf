// What is wrong with a task is said where it stands, and what a training cannot do with it as well. The schema and the
// reader agree.
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "config/quantities.h"
#include "tasks/task_kind.h"
#include "tasks/task_schema.h"
#include "unit/model_test_files.h"
#include "unit/tasks/task_samples.h"

namespace attnlab::tasks {
namespace {

using model_test::refusal;

TEST(ReadTask, TakesANameOrANameWithOptions) {
  EXPECT_EQ(task_of("markov")->length(), 100);
  EXPECT_EQ(task_of("markov: {length: 7}")->length(), 7);
  EXPECT_EQ(task_of("markov:")->length(), 100);
  EXPECT_EQ(task_of("{markov: {states: 9}}")->facts().where.text(), "f.yaml:1:2");
}

TEST(ReadTask, RefusesEachMistakeAtItsPlace) {
  EXPECT_EQ(problems_of("recal: {length: 64}"), "f.yaml:1:1: unknown task \"recal\"; did you mean \"recall\"?\n");
  EXPECT_EQ(problems_of("recall: {lenght: 64}"),
            "f.yaml:1:10: unknown option \"lenght\" of \"recall\"; did you mean \"length\"?\n");
  EXPECT_EQ(problems_of("recall: {exmples: 64}"),
            "f.yaml:1:10: unknown option \"exmples\" of \"recall\"; did you mean \"examples\"?\n");
  EXPECT_EQ(problems_of("recall: {length: 64, vocab: many}"),
            "f.yaml:1:29: vocab: expected an integer, got text \"many\"\n");
  EXPECT_EQ(problems_of("markov: {states: 1, alpha: 0}"),
            "f.yaml:1:18: states: 1 is outside 2..65536\nf.yaml:1:28: alpha: 0 is outside 1e-06..1000000\n");
  EXPECT_EQ(problems_of("[recall]"),
            "f.yaml:1:1: task: expected a name, got a list; write NAME or {NAME: {OPTION: VALUE}}\n");
  EXPECT_EQ(problems_of("{recall: {}, sort: {}}"),
            "f.yaml:1:14: task: \"sort\" stands beside \"recall\", expected one name; write NAME or {NAME: {OPTION: "
            "VALUE}}\n");
  EXPECT_EQ(problems_of("copy: {feed: nothing}"),
            "f.yaml:1:14: feed: expected one of answer, blank, got text \"nothing\"\n");
  EXPECT_EQ(problems_of("recall: {examples: 0}"), "f.yaml:1:20: examples: 0 is less than 1\n");
  EXPECT_EQ(
      problems_of("recall: {examples: 1.5}"),
      "f.yaml:1:20: examples: expected a count, got 1.5; write a whole number, or thousands as in 100k, 5M or 1G\n");
}

TEST(ReadTask, RefusesOptionsThatDoNotFitTogether) {
  EXPECT_EQ(problems_of("recall: {length: 65}"),
            "f.yaml:1:1: recall: the length 65 is odd; pairs and places take two tokens each\n");
  EXPECT_EQ(problems_of("recall: {length: 64, pairs: 17}"),
            "f.yaml:1:1: recall: 17 pairs do not fit into a length of 64; a pair needs four tokens: its own two and a "
            "place for its query\n");
  EXPECT_EQ(problems_of("copy: {length: 20, tokens: 16}"),
            "f.yaml:1:16: length: is too short for the tokens, their copy and the marker: 33\n");
  EXPECT_EQ(problems_of("copy: {length: 32, tokens: 16, feed: answer}"), "");
  EXPECT_EQ(problems_of("markov: {states: 60000, order: 4}"),
            "f.yaml:1:32: order: there are more than 2^53 contexts of so many states\n");
  EXPECT_EQ(problems_of("markov: {length: 2, order: 3}"),
            "f.yaml:1:28: order: is more than the length, so nothing can be learned\n");
  EXPECT_EQ(problems_of("needle: {queries: 2}"), "f.yaml:1:19: queries: are more than the keys\n");
  EXPECT_EQ(problems_of("needle: {length: 100}").substr(0, 98),
            "f.yaml:1:1: needle: a length of 100 has no room for what is hidden, the question and filler; give ");
  EXPECT_EQ(problems_of("copy: {length: 3, tokens: 1, vocab: 3}"),
            "f.yaml:1:1: copy: it has so few different inputs that none are left for one of training and validation; "
            "give it more tokens, or a greater length\n");
}

TEST(ReadTask, NeedleTakesTheShortestLengthThatItNames) {
  for (const std::string options : {"", ", keys: 5", ", values: 3, queries: 2, keys: 3, haystack: grammar"}) {
    const std::string problem = problems_of("needle: {length: 16" + options + "}");
    const std::size_t at = problem.find("at least ") + 9;
    ASSERT_LT(at, problem.size()) << problem;
    const int least = std::stoi(problem.substr(at));
    EXPECT_NE(problems_of("needle: {length: " + std::to_string(least - 1) + options + "}"), "");
    const auto task = task_of("needle: {length: " + std::to_string(least) + options + "}");
    for (int index = 0; index < 200; ++index) EXPECT_EQ(static_cast<int>(example_of(*task, index).input.size()), least);
  }
}

TEST(CheckTask, RefusesAModelOrABatchThatDoesNotFit) {
  const auto task = task_of("recall: {vocab: 512, examples: 40}");
  const auto with = [&](const TaskUse& use) { return refusal([&] { check_task(*task, use); }); };
  EXPECT_EQ(with({.vocab_size = 256, .batch = 8}),
            "f.yaml:1:1: recall: its 512 tokens do not fit into the model's vocabulary of 256; give the model a "
            "vocab_size of at least 512");
  EXPECT_EQ(with({.vocab_size = 512, .batch = 64}),
            "f.yaml:1:1: recall: 40 examples are fewer than the 64 of a batch; give more examples, a longer text, or a "
            "smaller batch");
  EXPECT_EQ(
      with({.vocab_size = 512, .batch = 8, .most_positions = 32}),
      "f.yaml:1:1: recall: its length of 64 is more than the 32 positions of the model; give a shorter length, or "
      "the model a larger max_position_embeddings");
  EXPECT_NO_THROW(check_task(*task, {.vocab_size = 512, .batch = 40, .most_positions = 64, .needs_validation = true}));
  const model_test::TempFolder folder;
  const auto tokens = task_of("tokens: {length: 1, file: " + folder.write("ids.txt", "1 2 3 4").string() + "}");
  EXPECT_NO_THROW(check_task(*tokens, {.vocab_size = 5, .batch = 2}));
  EXPECT_EQ(refusal([&] { check_task(*tokens, {.vocab_size = 5, .batch = 2, .needs_validation = true}); }),
            "f.yaml:1:1: tokens: nothing of it is held out, so there is nothing to evaluate on; give held_out, a share "
            "of the data");
}

TEST(Counts, AreWholeNumbersWithThousands) {
  const auto count = [](const std::string& text) {
    config::ProblemList problems;
    return config::as_count(config::parse_argument(text, "--n"), "n", problems).value_or(-1);
  };
  EXPECT_EQ(count("7"), 7);
  EXPECT_EQ(count("100k"), 100'000);
  EXPECT_EQ(count("1.5M"), 1'500'000);
  EXPECT_EQ(count("2G"), 2'000'000'000);
  for (const char* wrong : {"0", "-1", "1.5", "1.2345k", "k", "3KiB", "3%", "'7'", "1e300", "[1]"})
    EXPECT_EQ(count(wrong), -1) << wrong;
}

TEST(TaskSchema, DefinesEveryKindWithWhatItsReaderTakes) {
  nlohmann::ordered_json definitions;
  define_tasks(definitions);
  for (const TaskKind* kind : task_kinds()) {
    SCOPED_TRACE(kind->name);
    const auto& schema = definitions.at("task_" + std::string(kind->name));
    EXPECT_EQ(schema.at("description"), kind->doc);
    EXPECT_TRUE(definitions.at("task").at("anyOf")[1].at("properties").contains(kind->name));
    if (kind->is_list()) {
      EXPECT_TRUE(schema.at("items").at("properties").contains("sort"));
      continue;
    }
    for (const OptionSpec& option : kind->options) EXPECT_TRUE(schema.at("properties").contains(option.name));
    for (const config::Key& key : kind->keys) EXPECT_TRUE(schema.at("properties").contains(key.name));
    EXPECT_EQ(schema.at("properties").size(), kind->options.size() + kind->keys.size());
  }
  EXPECT_EQ(definitions.at("task_text").at("required"), nlohmann::json({"files"}));
  const auto& names = definitions.at("task").at("anyOf")[0].at("enum");
  EXPECT_EQ(names.size(), task_kinds().size() - 3) << "text and tokens need a file, mix its list";
}

}  // namespace
}  // namespace attnlab::tasks

// Experiments that are wrong: refused by `validate` and by `run` in the same words, with the place in the YAML, before
// anything is written.
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

struct BadExperiment {
  std::string name;
  std::string yaml;
  std::vector<std::string> mentions;  // in the first line of stderr

  friend std::ostream& operator<<(std::ostream& stream, const BadExperiment& test) { return stream << test.name; }
};

BadExperiment with_arms(const std::string& name, const std::string& arms, std::vector<std::string> mentions) {
  return {name, Experiment{.arms = arms}.yaml(), std::move(mentions)};
}

BadExperiment with_workloads(const std::string& name, const std::string& workloads, std::vector<std::string> mentions) {
  return {name, Experiment{.workloads = workloads}.yaml(), std::move(mentions)};
}

BadExperiment with_more(const std::string& name, const std::string& more, std::vector<std::string> mentions) {
  return {name, Experiment{.more = more}.yaml(), std::move(mentions)};
}

std::vector<BadExperiment> every_mistake() {
  const std::string tiny = "model: " + kTinyModel + "\n";
  return {
      // Keys.
      with_more("AMisspeltKey", "thraeds: 1", {"study.yaml:6:1: ", "\"thraeds\"", "did you mean \"threads\"?"}),
      {"AMisspeltKeyThatMustBeThere",
       "name: study\nmodle: " + kTinyModel + "\narms: [{attention: gqa}]\nworkloads: [{speed: {batch: q8}}]\n",
       {"study.yaml:2:1: ", "\"modle\"", "did you mean \"model\"?"}},
      with_more("AnUnknownKey", "colour: blue", {"study.yaml:6:1: ", "\"colour\""}),
      with_arms("AMisspeltKeyOfAnArm", "[{atention: gqa}]",
                {"study.yaml:4:9: ", "\"atention\"", "did you mean \"attention\"?"}),
      with_arms("AMisspeltOption", "[{cache: {window: {windw: 4}}}]",
                {"study.yaml:4:26: ", "\"windw\"", "did you mean \"window\"?"}),
      with_arms("AnOptionOfAComponentWithoutOptions", "[{position: {alibi: {slope: 2}}}]",
                {"study.yaml:4:28: ", "\"slope\"", "alibi"}),
      with_workloads("AMisspeltKeyOfAWorkload", "[{speed: {batc: [q8]}}]", {"study.yaml:5:", "\"batc\"", "batch"}),
      {"AKeyThatIsThereTwice", Experiment{.more = "repeats: 2"}.yaml(), {"study.yaml:6:1: ", "\"repeats\""}},
      {"AMissingKey",
       "name: study\n" + tiny + "arms: [{attention: gqa}]\n",
       {"study.yaml:1:1: ", "\"workloads\"", "missing"}},
      // Values.
      {"ATextWhereANumberBelongs", Experiment{.repeats = "many"}.yaml(), {"study.yaml:3:10: ", "repeats", "many"}},
      {"AListWhereATextBelongs",
       "name: [a, b]\n" + tiny + "arms: [{attention: gqa}]\nworkloads: [{speed: {batch: q8}}]\n",
       {"study.yaml:1:7: ", "name"}},
      {"RepeatsOfZero", Experiment{.repeats = "0"}.yaml(), {"study.yaml:3:10: ", "repeats", "0"}},
      with_more("ThreadsOutOfBounds", "threads: 0", {"study.yaml:6:10: ", "threads", "0"}),
      with_arms("AnOptionBelowItsBound", "[{cache: {window: {window: 0}}}]", {"study.yaml:4:34: ", "window", "0"}),
      with_arms("AnOptionBeyondAnyInteger", "[{cache: {window: {window: 99999999999}}}]",
                {"study.yaml:4:34: ", "window", "99999999999"}),
      with_arms("AnOptionOfTheWrongType", "[{cache: {window: {window: wide}}}]",
                {"study.yaml:4:34: ", "window", "wide"}),
      with_arms("AnUnknownChoice", "[{cache: {sink: {positions: renumberd}}}]",
                {"study.yaml:4:35: ", "positions", "renumberd", "renumbered"}),
      with_arms("HeadsThatKvHeadsDoNotDivide", "[{attention: mha}, {attention: {gqa: {kv_heads: 3}}}]",
                {"study.yaml:4:", "kv_heads", "3"}),
      // Names.
      with_arms("AnUnknownAttention", "[{attention: gqaa}]",
                {"study.yaml:4:20: ", "\"gqaa\"", "did you mean \"gqa\"?"}),
      with_arms("AnUnknownPosition", "[{position: ropes}]",
                {"study.yaml:4:19: ", "\"ropes\"", "did you mean \"rope\"?"}),
      with_arms("AnUnknownCache", "[{cache: {sinc: {sinks: 4}}}]",
                {"study.yaml:4:17: ", "\"sinc\"", "did you mean \"sink\"?"}),
      with_workloads("AnUnknownWorkload", "[{perplexty: {}}]",
                     {"study.yaml:5:", "\"perplexty\"", "did you mean \"perplexity\"?"}),
      with_workloads("ABatchThatCannotBeRead", "[{speed: {batch: [8z]}}]", {"study.yaml:5:", "8z"}),
      with_more("ABaselineThatIsNoArm", "baseline: {attention: mha}", {"study.yaml:6:", "baseline"}),
      with_arms("TheSameArmTwice", "[{attention: gqa}, {attention: gqa}]", {"study.yaml:4:", "twice"}),
      // Files that are named.
      {"AModelFolderThatIsMissing",
       Experiment{.model = "no-such-model"}.yaml(),
       {"study.yaml:2:8: ", "model", "no-such-model"}},
      with_workloads("ATextThatIsMissing", "[{perplexity: {text: nowhere.txt, context: 8}}]",
                     {"study.yaml:5:", "text", "nowhere.txt"}),
      with_more("APluginThatIsMissing", "plugins: [nowhere.so]", {"study.yaml:6:11: ", "plugins", "nowhere.so"}),
      // No YAML.
      {"AnUnclosedBracket", "name: study\narms: [{attention: gqa}\nworkloads: []\n", {"study.yaml:", ":"}},
      {"NoText", "name: \xff\xfe study\n", {"study.yaml:1:", "UTF-8"}},
      {"NothingAtAll", "", {"study.yaml"}},
      {"AList", "- name: study\n", {"study.yaml:1:1: ", "map"}},
  };
}

class EveryBadExperiment : public testing::TestWithParam<BadExperiment> {};

TEST_P(EveryBadExperiment, IsRefusedBeforeAnythingIsWritten) {
  SCOPED_TRACE(GetParam().yaml);
  const Sandbox sandbox;
  sandbox.write("study.yaml", GetParam().yaml);
  expect_refused(sandbox, {"validate", "study.yaml"}, GetParam().mentions);
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out"}, GetParam().mentions);
}

INSTANTIATE_TEST_SUITE_P(, EveryBadExperiment, testing::ValuesIn(every_mistake()),
                         [](const auto& test) { return test.param.name; });

TEST(BadExperiments, AreReportedWithAllMistakesAtOnceInTheOrderOfTheFile) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{.repeats = "0", .arms = "[{cache: windo}]", .more = "sed: 1"}.yaml());
  const Outcome outcome = sandbox.run({"validate", "study.yaml"});
  expect_wrong_input(outcome, {"study.yaml:3:10: "});
  const std::vector<std::string> lines = lines_of(outcome.err);
  ASSERT_EQ(lines.size(), 3U) << outcome;
  expect_mentions(lines[1], {"study.yaml:4:", "windo"});
  expect_mentions(lines[2], {"study.yaml:6:1: ", "sed"});
}

TEST(BadExperiments, ThatAreNotThereAreNamed) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"run", "nowhere.yaml", "-o", "out"}, {"nowhere.yaml"});
  expect_refused(sandbox, {"validate", "nowhere.yaml"}, {"nowhere.yaml"});
  expect_refused(sandbox, {"validate", "."}, {"."});
}

TEST(BadExperiments, AreRefusedForAnOverrideToo) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{}.yaml());
  const auto with = [](const std::string& set) {
    return std::vector<std::string>{"run", "study.yaml", "-o", "out", "--set", set};
  };
  expect_refused(sandbox, with("repeets=3"), {"--set", "repeets", "repeats"});
  expect_refused(sandbox, with("repeats=0"), {"--set", "repeats"});
  expect_refused(sandbox, with("repeats"), {"--set", "repeats"});
  expect_refused(sandbox, with("arms.7.attention=mha"), {"--set", "7"});
}

TEST(BadExperiments, AreRefusedForAnOnlyThatNoArmMatches) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{}.yaml());
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out", "--only", "mla*"}, {"--only", "mla*"});
}

TEST(ResultsFolders, ThatAreNotEmptyAreRefusedAndLeftAlone) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{}.yaml());
  sandbox.write("out/notes.txt", "mine");
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out"}, {"out", "not empty"});
  EXPECT_EQ(read_file(sandbox / "out/notes.txt"), "mine");
}

TEST(ResultsFolders, ThatAreFilesAreRefused) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{}.yaml());
  sandbox.write("out", "mine");
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out"}, {"out"});
}

TEST(ResultsFolders, ThatHoldNoResultsCannotBeReported) {
  const Sandbox sandbox;
  fs::create_directory(sandbox / "empty");
  expect_refused(sandbox, {"report", "empty"}, {"empty", "environment.json"});
  expect_refused(sandbox, {"report", "nowhere"}, {"nowhere"});
}

}  // namespace
}  // namespace attnlab::program_test

// Texts and token ids that are wrong, from the command line, from files and from experiments.
#include "e2e/checkpoints.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const std::string kNoUtf8 = "caf\xe9 au lait";

TEST(TextsThatAreNotUtf8, AreRefusedByEveryCommand) {
  const Sandbox sandbox;
  sandbox.write("text.txt", kNoUtf8);
  expect_refused(sandbox, {"tokenize", kTinyModel, "--text", kNoUtf8}, {"UTF-8"});
  expect_refused(sandbox, {"tokenize", kTinyModel, "--file", "text.txt"}, {"text.txt", "UTF-8"});
  expect_refused(sandbox, {"generate", kTinyModel, "--prompt", kNoUtf8, "-n", "4"}, {"UTF-8"});
  expect_refused(sandbox, {"logits", kTinyModel, "--prompt", kNoUtf8, "-o", "out.safetensors"}, {"UTF-8"});
}

TEST(TextsThatAreNotUtf8, AreRefusedByAnExperimentBeforeItRuns) {
  const Sandbox sandbox;
  sandbox.write("text.txt", kNoUtf8 + std::string(100, 'x'));
  sandbox.write("study.yaml", Experiment{.workloads = "[{perplexity: {text: text.txt, context: 8}}]"}.yaml());
  expect_refused(sandbox, {"validate", "study.yaml"}, {"text.txt", "UTF-8"});
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out"}, {"text.txt", "UTF-8"});
}

TEST(TextsThatAreTooShort, AreRefusedByAnExperimentBeforeItRuns) {
  const Sandbox sandbox;
  sandbox.write("text.txt", "");
  sandbox.write("study.yaml", Experiment{.workloads = "[{perplexity: {text: text.txt, context: 8}}]"}.yaml());
  expect_refused(sandbox, {"validate", "study.yaml"}, {"text.txt"});
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out"}, {"text.txt"});
}

TEST(TextsThatAreNotThere, AreRefused) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"tokenize", kTinyModel, "--file", "nowhere.txt"}, {"nowhere.txt"});
  expect_refused(sandbox, {"tokenize", kTinyModel, "--file", "."}, {"."});
}

// A random checkpoint without a tokenizer: whatever needs one says so, and what does not works.
TEST(FoldersWithoutATokenizer, AreRefusedWhereTextIsGiven) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  expect_refused(sandbox, {"tokenize", kCheckpoint.string(), "--text", "x"}, {kCheckpoint.string(), "tokenizer"});
  expect_refused(sandbox, {"generate", kCheckpoint.string(), "--prompt", "x", "-n", "1"}, {"tokenizer"});
  sandbox.write("study.yaml", Experiment{.model = kCheckpoint.string(),
                                         .arms = "[{attention: mqa}]",
                                         .workloads = "[{generate: {prompt: x, tokens: 1}}]"}
                                  .yaml());
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out"}, {"tokenizer"});
  sandbox.write("text.txt", "Once upon a time");
  sandbox.write("study.yaml", Experiment{.model = kCheckpoint.string(),
                                         .arms = "[{attention: mqa}]",
                                         .workloads = "[{perplexity: {text: text.txt, context: 8}}]"}
                                  .yaml());
  expect_refused(sandbox, {"run", "study.yaml", "-o", "out"}, {"tokenizer"});
  expect_well(sandbox.run({"logits", kCheckpoint.string(), "--ids", "ids.txt", "-o", "out.safetensors"}));
}

struct BadIds {
  std::string name;
  std::string text;
  std::vector<std::string> mentions;
  friend std::ostream& operator<<(std::ostream& stream, const BadIds& test) { return stream << test.name; }
};

class EveryBadIds : public testing::TestWithParam<BadIds> {};

TEST_P(EveryBadIds, AreRefusedByTheirPlace) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", GetParam().text);
  std::vector<std::string> parts = GetParam().mentions;
  parts.emplace_back("ids.txt");
  expect_refused(sandbox, {"logits", kCheckpoint.string(), "--ids", "ids.txt", "-o", "out.safetensors"}, parts);
  expect_refused(sandbox, {"logits", kCheckpoint.string(), "--ids", "ids.txt", "--chunk", "1", "-o", "out.safetensors"},
                 parts);
}

INSTANTIATE_TEST_SUITE_P(, EveryBadIds,
                         testing::Values(BadIds{"OutOfTheVocabulary", "1 2 256 3", {"256"}},
                                         BadIds{"FarOutOfTheVocabulary", "1 2000000000", {"2000000000"}},
                                         BadIds{"BeyondAnyInteger", "1 2\n99999999999999999999", {"ids.txt:2:1: "}},
                                         BadIds{"Negative", "1\n2 -1", {"ids.txt:2:3: "}},
                                         BadIds{"Words", "1 two 3", {"ids.txt:1:3: "}},
                                         BadIds{"Fractions", "1 2.5", {"ids.txt:1:3: "}}, BadIds{"None", " \n", {}}),
                         [](const auto& test) { return test.param.name; });

TEST(Ids, MayBeSeparatedByBlanksLineBreaksAndCommas) {
  const Sandbox sandbox;
  std::string first;
  for (const char* text : {"1 2 3", "1,2,3", " 1,\n2\t3\r\n"}) {
    sandbox.write("ids.txt", text);
    expect_well(sandbox.run({"logits", kCheckpoint.string(), "--ids", "ids.txt", "-o", "out.safetensors"}));
    const std::string written = read_file(sandbox / "out.safetensors");
    if (first.empty()) first = written;
    EXPECT_TRUE(written == first) << text;
  }
}

TEST(Tokenize, RefusesIdsThatTheTokenizerDoesNotHave) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "104 105 70000");
  expect_refused(sandbox, {"tokenize", kTinyModel, "--decode", "--ids", "ids.txt"}, {"70000"});
  expect_refused(sandbox, {"tokenize", kTinyModel, "--decode"}, {"--ids"});
  expect_refused(sandbox, {"tokenize", kTinyModel}, {"--text", "--file"});
  expect_refused(sandbox, {"tokenize", kTinyModel, "--text", "a", "--file", "ids.txt"}, {"--text", "--file"});
}

TEST(Tokenize, GivesBackTheTextOfAModelYaml) {
  const Sandbox sandbox;
  const std::string text = "Caf\xc3\xa9, \xe4\xbd\xa0\xe5\xa5\xbd!\n\ttwo  blanks";
  sandbox.write("text.txt", text);
  const Outcome ids = sandbox.run({"tokenize", kTinyModel, "--file", "text.txt"});
  expect_well(ids);
  EXPECT_EQ(lines_of(ids.out).size(), 1U);
  sandbox.write("ids.txt", ids.out);
  const Outcome back = sandbox.run({"tokenize", kTinyModel, "--decode", "--ids", "ids.txt"});
  expect_well(back);
  EXPECT_EQ(back.out, text);
}

TEST(Streams, ThatDoNotFitAreRefused) {
  const Sandbox sandbox;
  const fs::path good = fs::path(ATTNLAB_TEST_DATA_DIR) / "fixtures" / "cache" / "basic" / "streams.safetensors";
  const auto replay = [](const std::string& streams, const std::string& prefill) {
    return std::vector<std::string>{"replay",    streams, "--cache", "full",
                                    "--prefill", prefill, "-o",      "out.safetensors"};
  };
  expect_refused(sandbox, replay("nowhere.safetensors", "1"), {"nowhere.safetensors"});
  expect_refused(sandbox, replay(good.string(), "97"), {"--prefill", "97", "96"});
  expect_refused(sandbox, replay(good.string(), "0"), {"--prefill"});
  const fs::path no_streams = kCheckpoint / "model.safetensors";
  expect_refused(sandbox, replay(no_streams.string(), "1"), {"model.safetensors", "\"q\""});
  const std::vector<float> numbers(24);
  const auto bytes = std::as_bytes(std::span(numbers));
  const model::OutputTensor odd[] = {{"q", model::DType::f32, {2, 3, 4}, bytes},
                                     {"k", model::DType::f32, {3, 2, 4}, bytes},
                                     {"v", model::DType::f32, {3, 2, 4}, bytes}};
  model::write_safetensors(sandbox / "odd.safetensors", odd);
  expect_refused(sandbox, replay("odd.safetensors", "1"), {"odd.safetensors"});
}

}  // namespace
}  // namespace attnlab::program_test

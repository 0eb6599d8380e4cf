// stories260K, the one model of the fixtures that was trained: logits, the text that it writes, and the loss of a text
// that it did not see. The folder is not copied; where it is missing these tests are skipped by its name.
#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

const fs::path kModel = kSharedFixtures / "models" / "stories260K";

class Stories : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"model.safetensors", "tokenizer.model", "golden.json", "golden.safetensors", "eval.txt"})
      if (!fs::exists(kModel / file)) GTEST_SKIP() << "missing: " << (kModel / file).string();
    manifest_ = read_manifest(kModel / "golden.json");
  }

  Sandbox sandbox_;
  nlohmann::json manifest_;
};

class StoriesLogits : public Stories, public testing::WithParamInterface<int> {};

TEST_P(StoriesLogits, AreReproduced) {
  const std::string prompt = manifest_.at("prompt");
  std::vector<std::string> command{"logits", kModel.string(), "--prompt", prompt, "-o", "out.safetensors"};
  if (GetParam() > 0) command.insert(command.end(), {"--chunk", std::to_string(GetParam())});
  expect_well(sandbox_.run(command));
  EXPECT_LT(largest_difference(read_floats(sandbox_ / "out.safetensors", "logits"),
                               read_floats(kModel / "golden.safetensors", "logits")),
            2e-4);
}

INSTANTIATE_TEST_SUITE_P(, StoriesLogits, testing::Values(0, 16, 5, 1), [](const auto& test) {
  return test.param == 0 ? std::string("at_once") : "by_" + std::to_string(test.param);
});

TEST_F(Stories, WritesTheGoldenTextWhenItIsGreedy) {
  const std::string prompt = manifest_.at("prompt");
  const Outcome outcome = sandbox_.run({"generate", kModel.string(), "--prompt", prompt, "-n", "200"});
  expect_well(outcome);
  EXPECT_EQ(outcome.out, manifest_.at("greedy_text").get<std::string>() + "\n");
}

// Nothing is evicted, and prompt and continuation together are shorter than the window.
TEST_F(Stories, WritesTheGoldenTextThroughCachesThatHoldAllOfIt) {
  for (const char* cache : {"{window: {window: 256}}", "{sink: {sinks: 4, window: 252}}"}) {
    const std::string prompt = manifest_.at("prompt");
    const Outcome outcome =
        sandbox_.run({"generate", kModel.string(), "--prompt", prompt, "-n", "200", "--cache", cache});
    expect_well(outcome);
    EXPECT_EQ(outcome.out, manifest_.at("greedy_text").get<std::string>() + "\n") << cache;
  }
}

class StoriesLoss : public Stories {
 protected:
  struct Loss {
    double sum = 0;
    std::int64_t tokens = 0;
  };

  // Tokens at index `prefill` or later of their window; a window is BOS and 255 tokens of the text, the last one less.
  [[nodiscard]] Loss golden_after(int prefill) const {
    const Values<float> all = read_floats(kModel / "golden.safetensors", "eval_token_nll");
    Loss loss;
    for (std::size_t token = 0; token < all.numbers.size(); ++token) {
      if (static_cast<int>(token % 255) + 1 < prefill) continue;
      loss.sum += all.numbers[token];
      ++loss.tokens;
    }
    return loss;
  }

  // The loss of an arm in a case, from its trial.
  [[nodiscard]] Loss measured(const std::string& cache, const std::string& label) const {
    Loss loss;
    for (const auto& entry : fs::directory_iterator(sandbox_ / "out" / "trials")) {
      if (entry.path().extension() != ".json") continue;
      const nlohmann::json trial = read_manifest(entry.path());
      if (trial.at("arm") != "gqa/rope/" + cache || trial.at("case") != label) continue;
      EXPECT_EQ(trial.at("status"), "ok");
      loss.sum += trial.at("details").at("nll_sum").get<double>();
      loss.tokens += trial.at("details").at("tokens").get<std::int64_t>();
    }
    return loss;
  }
};

// In one go, token by token, and with prompts that are shorter than the last window, so that every window has both
// parts. The window holds the whole context, so it evicts nothing.
TEST_F(StoriesLoss, OfTheEvaluationTextIsThatOfTheManifestHoweverItIsFed) {
  std::string cases;
  for (const char* prefill : {", prefill: all", ", prefill: 1", ", prefill: 64"})
    cases += "  - perplexity: {text: " + (kModel / "eval.txt").string() + ", context: 256" + prefill + "}\n";
  sandbox_.write("loss.yaml",
                 "name: loss\nmodel: " + kModel.string() +
                     "\nrepeats: 1\narms: [{cache: full}, {cache: {window: {window: 256}}}]\nworkloads:\n" + cases);
  expect_well(sandbox_.run({"run", "loss.yaml", "-o", "out"}));
  const Loss whole{manifest_.at("eval").at("nll_sum"), manifest_.at("eval").at("count")};
  const std::pair<const char*, Loss> expected[] = {{"eval_context256_prefill_all", whole},
                                                   {"eval_context256_prefill1", whole},
                                                   {"eval_context256_prefill64", golden_after(64)}};
  for (const char* cache : {"full", "window"})
    for (const auto& [label, golden] : expected) {
      const Loss loss = measured(cache, label);
      EXPECT_EQ(loss.tokens, golden.tokens) << cache << ", " << label;
      EXPECT_NEAR(loss.sum, golden.sum, 0.05) << cache << ", " << label;
    }
}

// Published tokenizers, through the command, both ways. A large one takes its time to load, so of its cases only some
// are asked for here, spread over the manifest; every case is in unit/tokenizer_golden_test.cpp.
struct PublishedTokenizer {
  fs::path folder;  // below the shared fixtures
  std::string golden;
  friend std::ostream& operator<<(std::ostream& stream, const PublishedTokenizer& test) {
    return stream << test.folder;
  }
};

class TokenizeCommand : public testing::TestWithParam<PublishedTokenizer> {
 protected:
  void SetUp() override {
    const fs::path golden = kSharedFixtures / GetParam().folder / GetParam().golden;
    if (!fs::exists(golden)) GTEST_SKIP() << "missing: " << golden.string();
    cases_ = read_manifest(golden).at("cases");
    ASSERT_FALSE(cases_.empty());
  }
  [[nodiscard]] std::string model() const { return (kSharedFixtures / GetParam().folder).string(); }
  [[nodiscard]] std::size_t step() const { return GetParam().folder.filename() == "stories260K" ? 1 : 25; }

  Sandbox sandbox_;
  nlohmann::json cases_;
};

TEST_P(TokenizeCommand, PrintsTheGoldenIdsOnOneLine) {
  for (std::size_t i = 0; i < cases_.size(); i += step()) {
    const nlohmann::json& test = cases_[i];
    sandbox_.write("text.txt", test.at("text").get<std::string>());
    const Outcome outcome = sandbox_.run({"tokenize", model(), "--file", "text.txt"});
    expect_well(outcome);
    std::string ids = ids_text(test.at("ids"));
    if (!ids.empty()) ids.pop_back();
    EXPECT_EQ(outcome.out, ids + "\n") << test.at("text");
  }
}

TEST_P(TokenizeCommand, WritesTheGoldenText) {
  for (std::size_t i = 0; i < cases_.size(); i += step()) {
    const nlohmann::json& test = cases_[i];
    sandbox_.write("ids.txt", ids_text(test.at("ids")));
    const Outcome outcome = sandbox_.run({"tokenize", model(), "--decode", "--ids", "ids.txt"});
    expect_well(outcome);
    EXPECT_EQ(outcome.out, test.at("decoded").get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(, TokenizeCommand,
                         testing::Values(PublishedTokenizer{"tokenizers/gpt2", "golden.json"},
                                         PublishedTokenizer{"tokenizers/qwen2_5", "golden.json"},
                                         PublishedTokenizer{"models/stories260K", "tokenizer_golden.json"}),
                         [](const auto& test) { return test_name(test.param.folder.filename().string()); });

}  // namespace
}  // namespace attnlab::program_test

// What must not change a result: the number of threads, the size of pieces (within rounding), asking again.
#include "e2e/experiments.h"
#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

const std::string kPrompt = "It was a bright cold day, and the clocks were striking thirteen.";

struct Arm {
  std::string name;
  std::vector<std::string> flags;
  friend std::ostream& operator<<(std::ostream& stream, const Arm& arm) { return stream << arm.name; }
};

class EveryArm : public testing::TestWithParam<Arm> {
 protected:
  std::string logits(const std::vector<std::string>& more) const {
    std::vector<std::string> command{"logits", kTinyModel,       "--prompt", kPrompt + kPrompt + kPrompt,
                                     "-o",     "out.safetensors"};
    command.insert(command.end(), GetParam().flags.begin(), GetParam().flags.end());
    command.insert(command.end(), more.begin(), more.end());
    expect_well(sandbox_.run(command));
    return read_file(sandbox_ / "out.safetensors");
  }
  Sandbox sandbox_;
};

TEST_P(EveryArm, GivesTheSameBitsForEveryNumberOfThreads) {
  for (const std::vector<std::string>& chunk : {std::vector<std::string>{}, {"--chunk", "16"}, {"--chunk", "1"}}) {
    const auto with = [&](const char* threads) {
      std::vector<std::string> more{"--threads", threads};
      more.insert(more.end(), chunk.begin(), chunk.end());
      return logits(more);
    };
    const std::string one = with("1");
    EXPECT_TRUE(with("2") == one);
    EXPECT_TRUE(with("3") == one);
  }
}

TEST_P(EveryArm, GivesTheSameLogitsInPieces) {
  logits({});
  const Values<float> whole = read_floats(sandbox_ / "out.safetensors", "logits");
  for (const char* chunk : {"1", "7", "64"}) {
    logits({"--chunk", chunk});
    EXPECT_LT(largest_difference(read_floats(sandbox_ / "out.safetensors", "logits"), whole), 1e-4) << chunk;
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryArm,
                         testing::Values(Arm{"mha", {"--attention", "mha"}}, Arm{"gqa", {}},
                                         Arm{"mqa", {"--attention", "mqa"}}, Arm{"alibi", {"--position", "alibi"}},
                                         Arm{"sinusoidal", {"--position", "sinusoidal"}},
                                         Arm{"window", {"--cache", "{window: {window: 24}}"}},
                                         Arm{"sink", {"--cache", "{sink: {sinks: 4, window: 20}}"}}),
                         [](const auto& test) { return test.param.name; });

TEST(ThreadsOfArms, AreComparedToTheBitInOneStudy) {
  const Sandbox sandbox;
  sandbox.write("text.txt", "The same text for all of them, and long enough for two windows of thirty-two tokens.\n");
  sandbox.write("threads.yaml",
                Experiment{.repeats = "1",
                           .arms = "[{threads: 1}, {threads: 2}, {threads: 3}, {threads: 3, cache: {full: "
                                   "{storage: bf16}}}]",
                           .workloads = "[{perplexity: {text: text.txt, context: 32, prefill: 8}}]"}
                    .yaml());
  expect_well(sandbox.run({"run", "threads.yaml", "-o", "out", "--threads", "1"}));
  const CsvTable summary = summary_of(sandbox / "out");
  const std::vector<std::size_t> rows = summary.where({{"metric", "same_bits_as_baseline"}});
  ASSERT_EQ(rows.size(), 4U);
  for (int arm = 0; arm < 3; ++arm) EXPECT_EQ(std::stod(summary.at(rows[arm], "median")), 1.0) << arm;
  EXPECT_LT(std::stod(summary.at(rows[3], "median")), 1.0) << "rounded rows give other bits";
}

TEST(Causality, MeansThatLaterTokensChangeNothing) {
  const Sandbox sandbox;
  const auto logits = [&](const std::string& prompt) {
    expect_well(sandbox.run({"logits", kTinyModel, "--prompt", prompt, "-o", "out.safetensors"}));
    return read_floats(sandbox / "out.safetensors", "logits");
  };
  const Values<float> one = logits(kPrompt + "abc");
  const Values<float> other = logits(kPrompt + "xyz");
  ASSERT_EQ(one.shape, other.shape);
  const std::size_t same = static_cast<std::size_t>((one.shape[0] - 3) * one.shape[1]);
  EXPECT_TRUE(
      std::equal(one.numbers.begin(), one.numbers.begin() + static_cast<std::ptrdiff_t>(same), other.numbers.begin()));
  EXPECT_FALSE(std::equal(one.numbers.begin(), one.numbers.end(), other.numbers.begin()));
}

TEST(Attention, WithAsManyKvHeadsAsHeadsIsMultiHead) {
  const Sandbox sandbox;
  const auto bytes = [&](const std::string& attention) {
    expect_well(
        sandbox.run({"logits", kTinyModel, "--prompt", kPrompt, "--attention", attention, "-o", "out.safetensors"}));
    return read_file(sandbox / "out.safetensors");
  };
  EXPECT_TRUE(bytes("{gqa: {kv_heads: 4}}") == bytes("mha"));
  EXPECT_TRUE(bytes("{gqa: {kv_heads: 1}}") == bytes("mqa"));
}

// tiny.yaml with an output head of its own: where the head is the embedding, a random model says one token for ever.
class Generate : public testing::Test {
 protected:
  void SetUp() override {
    std::string yaml = read_file(kTinyModel);
    const std::string tied = "tie_word_embeddings: true";
    const std::size_t at = yaml.find(tied);
    ASSERT_NE(at, std::string::npos);
    sandbox_.write("model.yaml", yaml.replace(at, tied.size(), "tie_word_embeddings: false"));
  }
  std::string text(const std::vector<std::string>& flags) const {
    std::vector<std::string> command{"generate", "model.yaml", "--prompt", kPrompt, "-n", "24"};
    command.insert(command.end(), flags.begin(), flags.end());
    const Outcome outcome = sandbox_.run(command);
    expect_well(outcome);
    EXPECT_TRUE(outcome.out.starts_with(kPrompt));
    EXPECT_TRUE(outcome.out.ends_with('\n'));
    return outcome.out;
  }
  Sandbox sandbox_;
};

TEST_F(Generate, IsTheSameForTheSameSeed) {
  const std::string first = text({"--temperature", "1.5", "--seed", "7"});
  EXPECT_EQ(text({"--temperature", "1.5", "--seed", "7"}), first);
  EXPECT_EQ(text({"--temperature", "1.5", "--seed", "7", "--threads", "1"}), first);
  EXPECT_NE(text({"--temperature", "1.5", "--seed", "8"}), first);
}

TEST_F(Generate, IsGreedyAtTemperatureZero) {
  const std::string greedy = text({});
  EXPECT_GT(std::set<char>(greedy.begin() + static_cast<std::ptrdiff_t>(kPrompt.size()), greedy.end()).size(), 4U);
  EXPECT_EQ(text({"--temperature", "0"}), greedy);
  EXPECT_EQ(text({"--temperature", "0", "--seed", "9"}), greedy);
  EXPECT_EQ(text({"--temperature", "2", "--top-k", "1"}), greedy);
}

TEST_F(Generate, IsOtherForOtherWeights) {
  EXPECT_NE(text({"--weights-seed", "2"}), text({}));
}

}  // namespace
}  // namespace attnlab::program_test

// `attnlab train` as it is used: its files, the same bits for any number of threads and after any number of kills, and
// what is refused.
#include <cmath>
#include <map>
#include <random>

#include "e2e/background.h"
#include "e2e/experiments.h"
#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

constexpr const char* kModel =
    "hidden_size: 32\nintermediate_size: 48\nnum_hidden_layers: 2\nnum_attention_heads: 4\nnum_key_value_heads: 2\n"
    "vocab_size: 64\nmax_position_embeddings: 64\nrms_norm_eps: 1.0e-5\nrope_theta: 10000\ninitializer_range: 0.05\n"
    "tie_word_embeddings: true\n";

std::string file(const std::string& length, const std::string& more = "") {
  return "model: model.yaml\nseed: 3\n" + more +
         "train:\n  task: {recall: {length: 32, pairs: 4, vocab: 64}}\n  batch: 8\n  " + length +
         "\n  optimiser: {adamw: {lr: 3.0e-3}}\n  schedule: {cosine: {warmup: 5}}\n  dropout: 0.1\n"
         "  evaluate: {every: 50, batches: 2}\n";
}

// The curve without what the clock says.
std::vector<std::string> curve(const fs::path& folder) {
  std::vector<std::string> lines = lines_of(read_file(folder / "training.csv"));
  for (std::string& line : lines) line = line.substr(0, line.rfind(','));
  return lines;
}

TEST(Train, GivesTheSameBitsForEveryNumberOfThreads) {
  const Sandbox sandbox;
  sandbox.write("model.yaml", kModel);
  sandbox.write("train.yaml", file("steps: 20"));
  for (const char* threads : {"1", "2", "3"})
    ASSERT_EQ(sandbox.run({"train", "train.yaml", "-o", std::string("of_") + threads, "--threads", threads}).exit_code,
              0);
  const std::string weights = read_file(sandbox / "of_1/checkpoint/model.safetensors");
  EXPECT_EQ(curve(sandbox / "of_1").size(), 21U);
  for (const char* folder : {"of_2", "of_3"}) {
    EXPECT_TRUE(read_file(sandbox / folder / "checkpoint/model.safetensors") == weights) << folder;
    EXPECT_EQ(curve(sandbox / folder), curve(sandbox / "of_1")) << folder;
  }
}

TEST(Train, LowersTheLossAndLeavesACheckpointThatIsRead) {
  const Sandbox sandbox;
  sandbox.write("model.yaml", kModel);
  sandbox.write("train.yaml", file("steps: 150"));
  const Outcome outcome = sandbox.run({"train", "train.yaml", "-o", "out"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  expect_mentions(outcome.out, {"finished: 150 steps, ", "held out ", "accuracy "});
  const std::vector<std::string> rows = curve(sandbox / "out");
  const auto loss = [&](std::size_t row) { return std::stod(rows.at(row).substr(rows.at(row).find(',') + 1)); };
  EXPECT_LT(loss(150), 0.9 * loss(1));
  EXPECT_NEAR(loss(1), std::log(64.0), 0.2) << "a model that knows nothing";
  sandbox.write("ids.txt", "1 2 3");
  expect_well(sandbox.run({"logits", "out/checkpoint", "--ids", "ids.txt", "-o", "logits.safetensors"}));
  expect_refused(sandbox, {"train", "train.yaml", "-o", "out", "--resume"}, {"out: this training has ended"});
  EXPECT_FALSE(fs::exists(sandbox / "out/state.safetensors")) << "a training that has ended is not gone on with";
}

// A loss is a mean by weights: what all weights have in common changes no bit, one of them alone changes the loss, and
// parts of a batch add up to it.
TEST(Train, IsAMeanByTheWeightsOfItsTasks) {
  const Sandbox sandbox;
  sandbox.write("model.yaml", kModel);
  const auto train = [&](const std::string& out, double one, double other, int parts) {
    sandbox.write(
        "train.yaml",
        fmt::format(
            "model: model.yaml\nseed: 3\ntrain:\n  task:\n    mix:\n"
            "      - {{sort: {{tokens: 4, vocab: 64}}, share: 1, weight: {}}}\n"
            "      - {{recall: {{length: 32, pairs: 4, vocab: 64}}, share: 1, weight: {}}}\n"
            "  batch: 8\n  accumulate: {}\n  steps: 4\n  optimiser: {{adamw: {{lr: 3.0e-3}}}}\n  schedule: constant\n",
            one, other, parts));
    const Outcome outcome = sandbox.run({"train", "train.yaml", "-o", out});
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    return curve(sandbox / out);
  };
  const auto first_loss = [](const std::vector<std::string>& rows) {
    return std::stod(rows.at(1).substr(rows.at(1).find(',') + 1));
  };
  const std::vector<std::string> heavy = train("heavy", 8, 2, 1), light = train("light", 4, 1, 1);
  EXPECT_EQ(heavy.size(), 5U);
  EXPECT_EQ(heavy, light);
  EXPECT_EQ(read_file(sandbox / "heavy/checkpoint/model.safetensors"),
            read_file(sandbox / "light/checkpoint/model.safetensors"));
  EXPECT_NE(train("even", 1, 1, 1), light);
  EXPECT_NEAR(first_loss(train("parts", 4, 1, 4)), first_loss(light), 1e-6);
}

// A body that Llama does not have: other programs must not take it for one, and every command of this one reads it.
TEST(Train, LeavesACheckpointOfItsOwnKindOfBodyThatEveryCommandReads) {
  const Sandbox sandbox;
  std::string text;
  for (int i = 0; i < 300; ++i) text += "the " + std::to_string(i * 7 % 30) + " cats sat on mats, ";
  sandbox.write("text.txt", text);
  const std::string shape =
      "hidden_size: 32\nnum_hidden_layers: 2\nnum_attention_heads: 1\nhead_dim: 24\nvocab_size: 256\n"
      "max_position_embeddings: 128\nattention_initializer_range: 0.1\n";
  const std::map<std::string, std::string> bodies{
      {"characters", "norm: layer\nmlp: plain\nactivation: gelu\nintermediate_size: 128\n"}, {"markov", "mlp: none\n"}};
  for (const auto& [name, body] : bodies) {
    sandbox.write("model.yaml", shape + body);
    sandbox.write("train.yaml",
                  "model: model.yaml\nseed: 3\ntrain:\n  task: {text: {files: [text.txt], tokenizer: bytes, "
                  "context: 32}}\n  batch: 8\n  steps: 30\n  optimiser: {adamw: {lr: 3.0e-3}}\n");
    expect_well(sandbox.run({"train", "train.yaml", "-o", name}));
    const nlohmann::json config = nlohmann::json::parse(read_file(sandbox / name / "checkpoint/config.json"));
    EXPECT_EQ(config.at("model_type"), "attnlab") << name;
    const std::string model = name + "/checkpoint";
    expect_well(sandbox.run({"logits", model, "--prompt", "the cats", "-o", "logits.safetensors"}));
    expect_well(sandbox.run({"generate", model, "--prompt", "the cats", "-n", "8"}));
    sandbox.write("study.yaml",
                  Experiment{.model = model, .workloads = "[{perplexity: {text: text.txt, context: 32}}]"}.yaml());
    expect_well(sandbox.run({"run", "study.yaml", "-o", name + "_study"}));
  }
}

// Killed again and again, at instants that a seed draws, it ends with what an undisturbed training gives.
TEST(Train, EndsWithTheSameBitsAfterKills) {
  constexpr int kKills = 12;
  const Sandbox sandbox;
  sandbox.write("model.yaml", kModel);
  sandbox.write("train.yaml", file("steps: 1500"));
  ASSERT_EQ(sandbox.run({"train", "train.yaml", "-o", "whole"}).exit_code, 0);
  std::mt19937 draws(5);
  int killed = 0;
  while (killed < kKills) {
    std::vector<std::string> arguments{"train", "train.yaml", "-o", "killed"};
    if (killed > 0) arguments.emplace_back("--resume");
    Background training(sandbox, arguments);
    // Without its folder there is nothing to resume; a build with a sanitizer takes seconds to get there.
    for (int i = 0; i < 3000 && !fs::exists(sandbox / "killed"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(200 + draws() % 1600));
    const int status = training.end_with(SIGKILL).exit_code;
    if (status == 0) break;  // it was faster
    ++killed;
  }
  EXPECT_GE(killed, 2);
  if (!fs::exists(sandbox / "killed/checkpoint")) {
    const Outcome outcome = sandbox.run({"train", "train.yaml", "-o", "killed", "--resume"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome;
  }
  EXPECT_EQ(curve(sandbox / "killed"), curve(sandbox / "whole"));
  EXPECT_TRUE(read_file(sandbox / "killed/checkpoint/model.safetensors") ==
              read_file(sandbox / "whole/checkpoint/model.safetensors"));
}

TEST(Train, RefusesWhatCannotBeTrained) {
  const Sandbox sandbox;
  sandbox.write("model.yaml", kModel);
  sandbox.write("train.yaml", file("steps: 10"));
  sandbox.write("full/something", "a file");
  expect_refused(sandbox, {"train", "train.yaml", "-o", "full"}, {"full: the folder is not empty", "--resume"});
  expect_refused(sandbox, {"train", "train.yaml", "-o", "nothing", "--resume"}, {"nothing: there is no such folder"});
  expect_refused(sandbox, {"train", "train.yaml", "-o", "full/something"}, {"full/something: is no folder"});
  sandbox.write("vocab.yaml", [] {
    std::string text = file("steps: 10");
    return text.replace(text.find("vocab: 64"), 9, "vocab: 65");
  }());
  expect_refused(sandbox, {"train", "vocab.yaml", "-o", "out"}, {"vocab.yaml:", "vocab"});
  sandbox.write("search.yaml", [] {
    std::string text = file("steps: 10");
    return text.replace(text.find("{lr: 3.0e-3}"), 12, "{}") + "  search: {lr: [1.0e-3, 3.0e-3]}\n";
  }());
  expect_refused(sandbox, {"train", "search.yaml", "-o", "out"}, {"search.yaml:", "a part of an experiment"});
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which take an address space of their own
TEST(Train, IsRefusedWhereTheMemoryDoesNotReach) {
  const Sandbox sandbox;
  sandbox.write("model.yaml",
                "hidden_size: 2048\nnum_hidden_layers: 8\nintermediate_size: 8192\nnum_attention_heads: 16\n"
                "vocab_size: 64\n");  // 2 GiB of weights
  sandbox.write("train.yaml", file("steps: 10"));
  expect_refused(sandbox, {"train", "train.yaml", "-o", "out"},
                 {"train.yaml:", "weights, gradients and averages take 10", "of memory, and there are 6.00 GiB"},
                 {.address_space = std::size_t{6} << 30});
}
#endif

}  // namespace
}  // namespace attnlab::program_test

// Weights of other types than the checkpoint's: as an axis of a study and as a flag, with their bytes and how far they
// move what the model says.
#include <cmath>

#include "e2e/experiments.h"
#include "ops/onednn_product.h"

namespace attnlab::program_test {
namespace {

const std::string kText = "A model that was never trained reads a short text with weights of several types.\n";

class Weights : public testing::Test {
 protected:
  CsvTable run(const std::string& arms, const std::string& workloads) const {
    sandbox_.write("text.txt", kText);
    sandbox_.write("study.yaml", Experiment{.arms = arms, .workloads = workloads}.yaml());
    expect_well(sandbox_.run({"run", "study.yaml", "-o", "out", "--threads", "2"}));
    return CsvTable(read_file(sandbox_ / "out/summary.csv"));
  }
  static double value(const CsvTable& table, const std::string& arm, const std::string& metric) {
    const std::vector<std::size_t> rows = table.where({{"arm", arm}, {"metric", metric}});
    EXPECT_EQ(rows.size(), 1U) << arm << " " << metric;
    return rows.empty() ? NAN : std::stod(table.at(rows.front(), "median"));
  }

  Sandbox sandbox_;
};

TEST_F(Weights, AreAnAxisOfAGrid) {
  const CsvTable table = run("{grid: {attention: [gqa], weights: [f32, bf16, int8, int4]}}",
                             "[{perplexity: {text: text.txt, context: 40, prefill: 8}}]");
  ASSERT_EQ(table.distinct("arm").size(), 4U);
  const auto kl = [&](const std::string& weights) {
    return value(table, "gqa/rope/full/weights=" + weights, "kl_to_baseline");
  };
  EXPECT_EQ(kl("f32"), 0);
  EXPECT_GT(kl("bf16"), 0);
  EXPECT_LT(kl("bf16"), 1e-4);
  EXPECT_LT(kl("int8"), 1e-4);
  EXPECT_GT(kl("int4"), 10 * kl("int8"));
  EXPECT_LT(kl("int4"), 0.05);
}

TEST_F(Weights, AreAKeyOfAnArmAndAFlag) {
  (void)run("[{name: whole}, {name: codes, weights: int8}]",
            "[{perplexity: {text: text.txt, context: 40, prefill: 8}}]");
  const std::string plan = read_file(sandbox_ / "out/plan.yaml");
  EXPECT_NE(plan.find("weights: int8"), std::string::npos) << plan;
  const auto logits = [&](const std::string& weights) {
    expect_well(sandbox_.run({"logits", kTinyModel, "--prompt", "Several types", "--weights", weights, "--threads", "1",
                              "-o", weights + ".safetensors"}));
    return read_file(sandbox_ / (weights + ".safetensors"));
  };
  EXPECT_NE(logits("f32"), logits("int8"));
  expect_well(
      sandbox_.run({"logits", kTinyModel, "--prompt", "Several types", "--threads", "1", "-o", "own.safetensors"}));
  EXPECT_EQ(read_file(sandbox_ / "own.safetensors"), logits("f32")) << "a model YAML has weights of 32 bits";
}

TEST_F(Weights, AreMultipliedInBf16WhereTheArmSaysSo) {
  if (!has_bf16_products()) GTEST_SKIP() << "no AVX512-BF16 and no AMX";
  // Prompts of 32 tokens: products of few tokens multiply f32.
  const CsvTable table = run("{grid: {compute: [f32, bf16], weights: [f32, int8]}}",
                             "[{speed: {batch: [q64]}}, {perplexity: {text: text.txt, context: 40, prefill: 32}}]");
  ASSERT_EQ(table.distinct("arm").size(), 4U);
  EXPECT_EQ(table.distinct("status"), std::vector<std::string>{"ok"});
  const double kl = value(table, "gqa/rope/full/weights=f32/compute=bf16", "kl_to_baseline");
  EXPECT_GT(kl, 0);
  EXPECT_LT(kl, 1e-3);
  EXPECT_TRUE(table.where({{"arm", "gqa/rope/full/weights=f32/compute=bf16"}, {"metric", "share_of_fma_peak"}}).empty())
      << "the roof is that of f32";
  EXPECT_GT(value(table, "gqa/rope/full/weights=f32/compute=bf16", "share_of_bf16_peak"), 0);
  EXPECT_FALSE(
      table.where({{"arm", "gqa/rope/full/weights=f32/compute=f32"}, {"metric", "share_of_fma_peak"}}).empty());
}

TEST_F(Weights, InBf16AreRefusedWhereTheProcessorHasNoInstructionsForIt) {
  sandbox_.write("study.yaml", Experiment{.arms = "[{compute: bf16}]"}.yaml());
  const Outcome study = sandbox_.run({"validate", "study.yaml"}, {.variables = {{"ATTNLAB_MAX_ISA", "avx2"}}});
  EXPECT_NE(study.exit_code, 0);
  for (const char* part : {"study.yaml:4", "compute: bf16", "use f32"})
    EXPECT_NE(study.err.find(part), std::string::npos) << part << " is not in " << study.err;
  sandbox_.write("train.yaml", "model: " + kTinyModel +
                                   "\nseed: 1\ntrain:\n  task: {recall: {length: 8, pairs: 2, vocab: 64}}\n  batch: 2\n"
                                   "  steps: 2\n  optimiser: {adamw: {lr: 0.01}}\n  precision: bf16\n");
  const Outcome training =
      sandbox_.run({"train", "train.yaml", "-o", "trained"}, {.variables = {{"ATTNLAB_MAX_ISA", "avx2"}}});
  EXPECT_NE(training.exit_code, 0);
  for (const char* part : {"train.yaml:4", "precision: bf16", "train in f32"})
    EXPECT_NE(training.err.find(part), std::string::npos) << part << " is not in " << training.err;
}

// The same text and model with the instructions of a smaller CPU: other kernels, which say so, and the same answers.
TEST_F(Weights, AreComputedByOtherKernelsUnderALimitOfInstructions) {
  sandbox_.write("text.txt", kText);
  sandbox_.write("study.yaml",
                 Experiment{.arms = "[{}]", .workloads = "[{perplexity: {text: text.txt, context: 40}}]"}.yaml());
  const auto perplexity = [&](const std::string& folder, const std::string& most) {
    expect_well(sandbox_.run({"run", "study.yaml", "-o", folder}, {.variables = {{"ATTNLAB_MAX_ISA", most}}}));
    const CsvTable table(read_file(sandbox_ / folder / "summary.csv"));
    return std::stod(table.at(table.where({{"metric", "perplexity"}}).front(), "median"));
  };
  const double smaller = perplexity("smaller", "avx2"), whole = perplexity("whole", "");
  EXPECT_NEAR(smaller, whole, 1e-4 * whole);
  EXPECT_NE(read_file(sandbox_ / "smaller/environment.json").find("\"simd_target\": \"AVX2, at most avx2\""),
            std::string::npos);
  const Outcome unknown = sandbox_.run({"list"}, {.variables = {{"ATTNLAB_MAX_ISA", "sse9"}}});
  EXPECT_EQ(unknown.exit_code, 2);
  for (const char* part : {"ATTNLAB_MAX_ISA", "sse9", "avx512_bf16"})
    EXPECT_NE(unknown.err.find(part), std::string::npos) << unknown.err;
}

TEST_F(Weights, OfAnUnknownTypeAreRefused) {
  sandbox_.write("study.yaml", Experiment{.arms = "[{weights: int3}]"}.yaml());
  const Outcome outcome = sandbox_.run({"validate", "study.yaml"});
  EXPECT_NE(outcome.exit_code, 0);
  for (const char* part : {"study.yaml:4", "int3", "int8"})
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << " is not in " << outcome.err;
}

}  // namespace
}  // namespace attnlab::program_test

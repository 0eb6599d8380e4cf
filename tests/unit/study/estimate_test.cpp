// What is said of a plan before it runs: its estimate, and the names of its trials.
#include <cmath>
#include <fstream>
#include <random>
#include <set>
#include <string>

#include <attnlab/error.h>
#include <gtest/gtest.h>

#include "report/statistics/paired_ratios.h"
#include "study/estimate.h"
#include "unit/model_test_files.h"

namespace attnlab::experiment {
namespace {

const RoofProbe kRoof{.fma_flops_per_second = 1e10, .read_bytes_per_second = 1e10, .buffer_bytes = 1 << 20};

class Plans : public testing::Test {
 protected:
  // Two layers, two kv heads of 16 components.
  Plan plan(const std::string& workloads, const std::string& more = "", const std::string& arms = "[{}]") const {
    const std::string tiny = std::string(ATTNLAB_SOURCE_DIR) + "/configs/models/tiny.yaml";
    return make_plan(folder_.write("f.yaml", "name: x\nmodel: " + tiny + "\nthreads: 1\narms: " + arms +
                                                 "\nworkloads: " + workloads + "\n" + more + "\n"),
                     {});
  }
  static std::set<std::string> ids(const Plan& plan) {
    std::set<std::string> ids;
    for (const PlannedArm& arm : plan.arms)
      for (const PlannedCase& planned : plan.cases)
        for (const std::int64_t seed : plan.spec.seeds)
          for (int round = 0; round < plan.spec.repeats.max; ++round)
            ids.insert(trial_id(plan, arm, planned, seed, round));
    return ids;
  }

  static void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts)
      EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text;
  }

  model_test::TempFolder folder_;
};

TEST_F(Plans, CachesAreCountedRowByRow) {
  const Plan f32 = plan("[speed: {batch: [8q1s1k]}]");
  const std::size_t row = 32 * sizeof(float) + sizeof(Position);  // key, value, and the position of the token
  EXPECT_EQ(estimate(f32, kRoof).kv_bytes, row * 8 * 1024 * 2 * f32.arms[0].kv_heads);
  const Plan one = plan("[speed: {batch: [q64, q1s1k]}]");
  EXPECT_EQ(estimate(one, kRoof).kv_bytes * 8, estimate(f32, kRoof).kv_bytes) << "the longest case counts";
  const Plan int8 = plan("[speed: {batch: [8q1s1k]}]", "", "[{cache: {full: {storage: int8}}}]");
  EXPECT_LT(estimate(int8, kRoof).kv_bytes, estimate(f32, kRoof).kv_bytes / 2);
  EXPECT_EQ(estimate(f32, kRoof).weight_bytes, f32.arms[0].weight_bytes);
}

TEST_F(Plans, NoteWhatTheOptionsOfACacheDoNotHold) {
  const auto notes = [&](const std::string& cache) {
    return plan("[speed: {batch: [q1s1k]}]", "", "[{cache: " + cache + "}]").arms[0].notes;
  };
  using Notes = std::vector<std::string>;
  const std::string idle =
      "cache \"quest\" drops, rounds and skips no row in any layer: the arm keeps and reads what a full cache does";
  const std::string reads = "cache \"quest\": the budget bounds the bytes that a step reads; every row stays allocated";
  EXPECT_EQ(notes("{quest: {budget: 64}}"), Notes{idle}) << "both layers are dense";
  EXPECT_EQ(notes("{quest: {budget: 64, dense_layers: 0}}"), Notes{});
  EXPECT_EQ(notes("{quest: {budget: 64KiB, dense_layers: 0}}"), Notes{reads});
  EXPECT_EQ(notes("{snapkv: {budget: 200KiB}}"),
            Notes{"cache \"snapkv\": the budget holds after the prompt, and every step adds a row"});
  EXPECT_EQ(notes("{tova: {budget: 200KiB}}"), Notes{});
  EXPECT_EQ(notes("full"), Notes{});
}

TEST_F(Plans, CountTheMemoryOfATraining) {
  const auto trained = [&](int context, int batch, const std::string& keys = "", const std::string& more = "") {
    folder_.write("text.txt", std::string(50000, 'a'));
    return plan("[speed: {batch: [q8]}]", "train: {task: {text: {files: text.txt, context: " + std::to_string(context) +
                                              "}}, batch: " + std::to_string(batch) +
                                              ", steps: 10, optimiser: {adamw: {lr: 1.0e-3}}" + keys + "}\n" + more);
  };
  const auto bytes = [&](int context, int batch, const std::string& keys = "") {
    return estimate(trained(context, batch, keys), kRoof).training_bytes;
  };
  const Plan small = trained(256, 1);
  const double parameters = static_cast<double>(small.groups.at(0).parameters) * 20;
  const double of_one = bytes(256, 1) - parameters;
  // What the 2 layers write of a token, and the gradients of that: at least queries, keys, values and three times the
  // hidden and the MLP's width.
  const auto& config = small.arms[0].source->config();
  const double least =
      256.0 * config.layers * 2 * sizeof(float) * (6.0 * config.hidden_dim + 3.0 * config.intermediate_dim);
  EXPECT_GT(of_one, least);
  EXPECT_LT(of_one, 4 * least);
  EXPECT_DOUBLE_EQ(bytes(256, 4) - parameters, 4 * of_one);
  EXPECT_DOUBLE_EQ(bytes(256, 4), bytes(256, 8, ", accumulate: 2")) << "a part of a batch counts";
  EXPECT_DOUBLE_EQ(bytes(256, 64), bytes(256, 16)) << "a batch is fed in parts of so many tokens";
  EXPECT_DOUBLE_EQ(bytes(4096, 2) - parameters, 16 * of_one) << "at least a whole sequence";

  try {
    (void)trained(256, 4, "", "limits: {memory: 1MiB}");
    ADD_FAILURE() << "more than there is was taken";
  } catch (const Error& error) {
    expect_parts(error.what(), {"its training needs about ", "1.00 MiB"});
  }
}

TEST_F(Plans, TakeLongerWithMoreWork) {
  const auto seconds = [&](const std::string& workloads, const std::string& more = "",
                           const std::string& arms = "[{}]") {
    return estimate(plan(workloads, more, arms), kRoof).most_seconds;
  };
  const double once = seconds("[speed: {batch: [q1s4k]}]", "repeats: 1\nwarmup: 0");
  EXPECT_NEAR(seconds("[speed: {batch: [q1s4k]}]", "repeats: 10\nwarmup: 0"), 10 * once, 1e-9);
  EXPECT_NEAR(seconds("[speed: {batch: [q1s4k]}]", "repeats: 10\nwarmup: 5"), 15 * once, 1e-9);
  EXPECT_NEAR(seconds("[speed: {batch: [q1s4k]}]", "repeats: 1\nwarmup: 0\nseed: [1, 2, 3]"), 3 * once, 1e-9);
  EXPECT_GT(seconds("[speed: {batch: [q1s8k]}]", "repeats: 1\nwarmup: 0"), once);
  const std::string recall = "[recall: {length: 64, pairs: 4, examples: 4, vocab: 512}]";
  EXPECT_EQ(seconds(recall, "repeats: 1"), seconds(recall, "repeats: 9")) << "what cannot vary is measured once";
  const Plan adaptive = plan("[speed: {batch: [q1s4k]}]", "repeats: {min: 5, max: 20, until: 2%}\nwarmup: 0");
  EXPECT_NEAR(estimate(adaptive, kRoof).most_seconds, 4 * estimate(adaptive, kRoof).least_seconds, 1e-9);
}

TEST_F(Plans, ArmsThatAreRefusedTakeNoTime) {
  const std::string grid = "{grid: {position: [rope, sinusoidal], cache: [full, {sink: {sinks: 4, window: 8}}]}}";
  const Plan all = plan("[speed: {batch: [q64]}]", "warmup: 0", grid);
  std::size_t refused = 0;
  double seconds = 0;
  for (const PlannedArm& arm : all.arms) {
    refused += arm.refused.empty() ? 0 : 1;
    if (arm.refused.empty()) seconds += 7 * trial_seconds(all, arm, 0, kRoof);
  }
  EXPECT_EQ(refused, 1U) << "renumbered positions with positions in the embeddings";
  const Estimate estimated = estimate(all, kRoof);
  EXPECT_GT(estimated.most_seconds, seconds);
  EXPECT_LT(estimated.most_seconds, seconds + 3 * 7 * 0.1) << "a process start each";
}

TEST_F(Plans, SayHowTheyWereEstimated) {
  const std::string text = describe_estimate(plan("[speed: {batch: [q1s1k]}]"));
  for (const char* part :
       {"estimated: ", "weights 0.5 MiB", "An estimate: operations at 60 % of ", "both probed just now"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text;
}

TEST_F(Plans, EveryTrialHasAnIdOfItsOwnThatStays) {
  const std::string workloads = "[speed: {batch: [q8, q16]}, generate: {prompt: a, tokens: 2}]";
  const std::string more = "seed: [1, 2]\nrepeats: 3";
  const std::string arms = "[{}, {cache: {window: {window: 8}}}]";
  const std::set<std::string> before = ids(plan(workloads, more, arms));
  EXPECT_EQ(before.size(), 2U * 3 * 2 * 3);
  EXPECT_EQ(ids(plan(workloads, more, arms)), before);
  EXPECT_EQ(ids(plan(workloads, more + "\nquestion: Why?\nwarmup: 1\nlimits: {seconds: 9}", arms)), before)
      << "what no outcome depends on";
}

TEST_F(Plans, IdsChangeWithAllThatAnOutcomeDependsOn) {
  const auto text = folder_.write("text.txt", "some text that is long enough\n");
  const std::string workloads = "[perplexity: {text: " + text.string() + ", context: 8, prefill: 4}]";
  const std::string arms = "[{name: a}, {name: b, cache: {window: {window: 8}}}]";
  const std::set<std::string> before = ids(plan(workloads, "repeats: 1", arms));
  const auto expect_other = [&](const std::string& why, const std::set<std::string>& after) {
    for (const std::string& id : after) EXPECT_FALSE(before.contains(id)) << why;
  };
  expect_other("another seed", ids(plan(workloads, "repeats: 1\nseed: 2", arms)));
  expect_other("another baseline to be compared with", ids(plan(workloads, "repeats: 1\nbaseline: b", arms)));
  expect_other("other options and names",
               ids(plan(workloads, "repeats: 1", "[{name: c}, {name: b, cache: {window: {window: 9}}}]")));
  folder_.write("text.txt", "some text that is long enough too\n");
  expect_other("another text", ids(plan(workloads, "repeats: 1", arms)));
}

TEST_F(Plans, ReadAFileOnceForNamesOfTrialsAndForTheReport) {
  FileHashes hashes;
  const auto file = folder_.write("weights", "as they are");
  const std::string quick = hashes.quick(file);
  folder_.write("weights", "other bytes");
  EXPECT_EQ(hashes.sha256(file), quick);
  EXPECT_NE(FileHashes().sha256(file), quick);
}

TEST_F(Plans, GiveATrialTenMinutesAtLeastAndMoreWhereItsWorkIsMore) {
  const Plan small = plan("[speed: {batch: [q8]}]");
  EXPECT_EQ(small.cases[0].limit_seconds, 600);
  const Plan large = plan("[speed: {batch: [q8]}, recall: {length: 8192, pairs: 4, examples: 10000, vocab: 512}]");
  EXPECT_EQ(large.cases[0].limit_seconds, 600);
  EXPECT_GT(large.cases[1].limit_seconds, 3600);
  EXPECT_GT(large.cases[1].limit_seconds, 3 * trial_seconds(large, large.arms[0], 1, kRoof))
      << "more than on a machine of one slow core";
  const Plan own = plan("[speed: {batch: [q8]}]", "limits: {seconds: 7}");
  EXPECT_EQ(own.cases[0].limit_seconds, 7);
  expect_parts(describe_plan(small), {"a trial may take 10 min (limits: {seconds: ...} sets another bound)"});
  expect_parts(describe_plan(large), {"a trial may take 10 min to "});
  expect_parts(describe_plan(own), {"a trial may take 7 s\n"});
  EXPECT_EQ(plan_json(small).at("cases").at(0).at("limit_seconds"), 600);
  EXPECT_EQ(plan_json(own).at("cases").at(0).at("limit_seconds"), 7);
}

TEST_F(Plans, RefuseTheImpossibleCaseOfAnArmAndNotTheOthers) {
  const std::string workloads = "[speed: {batch: [q64, q9k]}]";  // of a model that was trained for 8192 positions
  const Plan all = plan(workloads, "repeats: 3", "[{}, {position: learned}]");
  EXPECT_TRUE(all.arms[0].runs(0) && all.arms[0].runs(1));
  EXPECT_TRUE(all.arms[1].refused.empty());
  EXPECT_TRUE(all.arms[1].runs(0));
  EXPECT_FALSE(all.arms[1].runs(1));
  expect_parts(all.arms[1].cases[1].refused, {"9216 tokens", "8192 positions"});
  // What is said of one case is said of it alone.
  EXPECT_TRUE(all.arms[0].notes.empty() && all.arms[0].cases[0].notes.empty());
  ASSERT_EQ(all.arms[0].cases[1].notes.size(), 1U);
  expect_parts(all.arms[0].cases[1].notes[0], {"9216 tokens", "trained for"});
  expect_parts(describe_plan(all), {"    speed q9k: refused: a sequence of 9216", "9 trials\n"});
  EXPECT_TRUE(plan_json(all).at("arms").at(1).at("cases").contains("speed q9k"));
  EXPECT_FALSE(plan_json(all).at("arms").at(1).at("cases").contains("speed q64"));
  EXPECT_LT(estimate(plan(workloads, "repeats: 3", "[{position: learned}]"), kRoof).most_seconds,
            estimate(plan(workloads, "repeats: 3", "[{position: none}]"), kRoof).most_seconds);
}

TEST_F(Plans, RefuseAnArmOfAListThatIsImpossibleInEveryCase) {
  EXPECT_THROW((void)plan("[speed: {batch: [q9k, q10k]}]", "", "[{}, {position: learned}]"), Error);
  const Plan grid = plan("[speed: {batch: [q9k, q10k]}]", "", "{grid: {position: [rope, learned]}}");
  expect_parts(grid.arms[1].refused, {"9216 tokens", "10240 tokens"});
}

TEST_F(Plans, RefuseACaseThatNeedsMoreMemoryThanItMayTake) {
  const std::string workloads = "[speed: {batch: [q1s1k, 4q1s256k]}]";
  const std::string arms = "[{}, {cache: {window: {window: 64}}}]";
  const Plan all = plan(workloads, "limits: {memory: 512MiB}", arms);
  EXPECT_TRUE(all.arms[0].runs(0));
  EXPECT_FALSE(all.arms[0].runs(1));
  expect_parts(all.arms[0].cases[1].refused, {"more memory than the 512 MiB"});
  EXPECT_TRUE(all.arms[1].runs(1)) << "what a policy drops needs no memory";
  EXPECT_TRUE(plan(workloads, "limits: {memory: 4GiB}", arms).arms[0].runs(1));
}

// Means of blocks of one row each are as many numbers as the keys.
TEST_F(Plans, CountTheSummariesOfAVariantAsMemory) {
  const std::string workloads = "[speed: {batch: [q1s1k, 4q1s32k]}]";
  const std::string moba = "{attention: {moba: {block: 1, top_k: 8}}}";
  const auto bytes = [](const Plan& plan) { return estimate(plan, kRoof).kv_bytes; };
  const Plan plain = plan(workloads), summarised = plan(workloads, "", "[" + moba + "]");
  const std::size_t summaries = sizeof(float) * 2 * 4 * (1 + std::size_t{32768} * 2 * 16);
  EXPECT_EQ(bytes(summarised), bytes(plain) + summaries);
  const Plan both = plan(workloads, "limits: {memory: 80MiB}", "[{}, " + moba + "]");
  EXPECT_TRUE(both.arms[0].runs(1));
  EXPECT_TRUE(both.arms[1].runs(0));
  EXPECT_FALSE(both.arms[1].runs(1)) << "rows alone would fit";
}

TEST_F(Plans, SayThatNothingIsHeldAgainstABaselineThatIsRefused) {
  const Plan all = plan("[speed: {batch: [q64]}]", "baseline: {position: sinusoidal, cache: sink}",
                        "{grid: {position: [rope, sinusoidal], cache: [full, {sink: {sinks: 4, window: 8}}]}}");
  ASSERT_EQ(all.warnings.size(), 1U);
  expect_parts(all.warnings[0], {"the baseline gqa/sinusoidal/sink is refused, so nothing is compared with it"});
}

// What a new user runs first can tell a difference that matters from chance.
TEST(ShippedExperiments, HaveRoundsEnoughToMarkADifferenceOfTwoFifths) {
  for (const char* file : {"/experiments/quickstart.yaml", "/framework/cli/templates/experiment.yaml.in"}) {
    std::ifstream stream(std::string(ATTNLAB_SOURCE_DIR) + file);
    int rounds = 0;
    for (std::string line; std::getline(stream, line);)
      if (line.starts_with("repeats: ")) rounds = std::stoi(line.substr(9));
    EXPECT_GE(rounds, report::kLeastRoundsForMarks) << file;
    std::mt19937 random(7);
    std::normal_distribution<double> noise(0, 0.05);
    report::PairedValues baseline;
    std::vector<report::PairedValues> arms(7);
    for (int round = 0; round < rounds; ++round) {
      baseline[{1, round}] = 100 * std::exp(noise(random));
      for (report::PairedValues& arm : arms) arm[{1, round}] = 100 * std::exp(noise(random));
      arms.front().at({1, round}) *= 1.4;
    }
    const auto ratio = report::paired_ratios(baseline, arms).front();
    ASSERT_TRUE(ratio && ratio->interval) << file;
    EXPECT_TRUE(ratio->interval->is_confident()) << file;
    EXPECT_GT(ratio->interval->low, 1) << file;
  }
}

}  // namespace
}  // namespace attnlab::experiment

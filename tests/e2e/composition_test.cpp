// Combinations that are unsound: refused before anything runs, naming both sides and a legal choice. An arm of a list
// is an error, a cell of a grid is a row.
#include "e2e/experiments.h"
#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

struct Unsound {
  std::string name;
  std::string position;
  std::string cache;
  std::vector<std::string> mentions;
  friend std::ostream& operator<<(std::ostream& stream, const Unsound& test) { return stream << test.name; }
};

const std::string kDynamic = "{rope: {scaling: dynamic, factor: 4, original_max_position_embeddings: 64}}";

class EveryUnsoundCombination : public testing::TestWithParam<Unsound> {
 protected:
  Sandbox sandbox_;
};

TEST_P(EveryUnsoundCombination, IsRefusedOnTheCommandLine) {
  sandbox_.write("ids.txt", "1 2 3");
  expect_refused(sandbox_,
                 {"logits", kTinyModel, "--ids", "ids.txt", "-o", "out.safetensors", "--position", GetParam().position,
                  "--cache", GetParam().cache},
                 GetParam().mentions);
  const fs::path streams = kOwnFixtures / "cache" / "basic" / "streams.safetensors";
  expect_refused(sandbox_,
                 {"replay", streams.string(), "--prefill", "8", "-o", "out.safetensors", "--position",
                  GetParam().position, "--cache", GetParam().cache},
                 GetParam().mentions);
}

TEST_P(EveryUnsoundCombination, IsAnErrorAsAnArmOfAList) {
  sandbox_.write("study.yaml", Experiment{.arms = "[{cache: full}, {position: " + GetParam().position +
                                                  ", cache: " + GetParam().cache + "}]"}
                                   .yaml());
  std::vector<std::string> parts = GetParam().mentions;
  parts.emplace_back("study.yaml:4:");
  expect_refused(sandbox_, {"validate", "study.yaml"}, parts);
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "out"}, parts);
}

TEST_P(EveryUnsoundCombination, IsARowWithItsReasonAsACellOfAGrid) {
  sandbox_.write("study.yaml", Experiment{.arms = "{grid: {position: [alibi, " + GetParam().position +
                                                  "], cache: [full, " + GetParam().cache + "]}}"}
                                   .yaml());
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out"}));
  const CsvTable summary = summary_of(sandbox_ / "out");
  int refused = 0;
  for (std::size_t row = 0; row < summary.rows(); ++row) {
    const std::string& status = summary.at(row, "status");
    if (status == "ok") continue;
    ++refused;
    EXPECT_TRUE(status.starts_with("refused")) << status;
    expect_mentions(status, GetParam().mentions);
    EXPECT_NE(summary.at(row, "cache"), "full");
    EXPECT_NE(summary.at(row, "position"), "alibi");
    for (const char* column : {"n", "median", "baseline_ratio"}) EXPECT_EQ(summary.at(row, column), "") << column;
  }
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(summary.distinct("arm").size(), 4U);
  expect_mentions(read_file(sandbox_ / "out/report.md"), {"refused"});
}

TEST_P(EveryUnsoundCombination, IsAnErrorWhereNoArmIsLeft) {
  sandbox_.write("study.yaml", Experiment{.arms = "{grid: {position: [" + GetParam().position + "], cache: [" +
                                                  GetParam().cache + "]}}"}
                                   .yaml());
  std::vector<std::string> parts = GetParam().mentions;
  parts.emplace_back("study.yaml:4:");
  expect_refused(sandbox_, {"run", "study.yaml", "-o", "out"}, parts);
}

INSTANTIATE_TEST_SUITE_P(
    , EveryUnsoundCombination,
    testing::Values(Unsound{.name = "RenumberedSinksWithPositionsInTheEmbedding",
                            .position = "sinusoidal",
                            .cache = "{sink: {sinks: 4, window: 12}}",
                            .mentions = {"cache \"sink\"", "position \"sinusoidal\"", "positions: original", "rope"}},
                    Unsound{.name = "RotatedKeysWithAnglesThatChange",
                            .position = kDynamic,
                            .cache = "{full: {keys: rotated}}",
                            .mentions = {"cache \"full\"", "position \"rope\"", "keys: unrotated", "keys: auto"}},
                    Unsound{.name = "RotatedKeysOfAWindowWithAnglesThatChange",
                            .position = kDynamic,
                            .cache = "{window: {window: 4, keys: rotated}}",
                            .mentions = {"cache \"window\"", "position \"rope\"", "keys: unrotated"}}),
    [](const auto& test) { return test.param.name; });

TEST(SoundCombinations, AreTheNearestLegalChoices) {
  const Sandbox sandbox;
  sandbox.write("ids.txt", "1 2 3");
  const auto expect_taken = [&](const std::string& position, const std::string& cache) {
    expect_well(sandbox.run(
        {"logits", kTinyModel, "--ids", "ids.txt", "-o", "out.safetensors", "--position", position, "--cache", cache}));
  };
  expect_taken("sinusoidal", "{sink: {positions: original}}");
  expect_taken("rope", "{sink: {positions: renumbered}}");
  expect_taken("alibi", "{sink: {positions: renumbered}}");
  expect_taken(kDynamic, "full");
  expect_taken(kDynamic, "{full: {keys: auto}}");
  expect_taken(kDynamic, "{full: {keys: unrotated}}");
  expect_taken("rope", "{full: {keys: rotated}}");
  expect_taken("rope", "{full: {keys: unrotated}}");
}

// How keys are stored is a matter of memory and time, not of the result.
TEST(StoredKeys, ChangeNothingButRounding) {
  const Sandbox sandbox;
  const auto logits = [&](const std::string& cache) {
    expect_well(sandbox.run({"logits", kTinyModel, "--prompt", "How keys are stored is a matter of memory.", "--cache",
                             cache, "--chunk", "8", "-o", "out.safetensors"}));
    return read_floats(sandbox / "out.safetensors", "logits");
  };
  EXPECT_LT(largest_difference(logits("{full: {keys: rotated}}"), logits("{full: {keys: unrotated}}")), 1e-4);
  EXPECT_LT(largest_difference(logits("{sink: {sinks: 2, window: 8, keys: rotated}}"),
                               logits("{sink: {sinks: 2, window: 8, keys: unrotated}}")),
            1e-4);
}

}  // namespace
}  // namespace attnlab::program_test

// The boundary to plugins: whatever a component does wrong is said with its name, its file and the call, in commands
// and in trials, and never becomes a number. The plugins `unruly` (caches) and `careless` (attention) have a component
// for every way.
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "e2e/experiments.h"
#include "model/checkpoints/safetensors.h"

namespace attnlab::program_test {
namespace {

fs::path plugin_file(const std::string& name) {
  return fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins" / name / (name + ".so");
}

struct Misdeed {
  std::string plugin;
  std::string id;
  std::vector<std::string> mentions;
  bool dies = false;           // the process itself cannot go on
  bool needs_a_check = false;  // shows where an arm is checked before it is measured, not in a single command
  friend std::ostream& operator<<(std::ostream& stream, const Misdeed& test) { return stream << test.id; }

  [[nodiscard]] std::string kind() const { return plugin == "unruly" ? "cache" : "attention"; }
  [[nodiscard]] std::string named() const { return kind() + " \"" + id + "\" (" + plugin_file(plugin).string() + ")"; }
};

std::vector<Misdeed> every_misdeed() {
  return {
      {"unruly", "repeats", {"broke a rule in check: drop of kv head 0, sequence 0: entry 1 is row 1 once more"}},
      {"unruly", "descends", {"broke a rule in check: drop of kv head 0", "entry 1 is row 0 after row 2", "ascend"}},
      {"unruly", "outside", {"broke a rule in check: drop of kv head 0", "entry 1 is row ", ", but there are "}},
      {"unruly", "negative", {"broke a rule in check: drop of kv head 0", "entry 0 is row -1, but there are "}},
      {"unruly", "other_head", {"broke a rule in check: drop: rows of sequence 0, kv head 1000", "2 kv heads"}},
      {"unruly", "nan_scores", {"broke a rule in check: rows_to_drop: the score of row 1 (position 1) is NaN"}},
      {"unruly", "few_scores", {"broke a rule in check: rows_to_drop: ", " scores for "}},
      {"unruly", "mixed_entries", {"broke a rule in check: drop_entries: indices must ascend"}},
      {"unruly", "throws_int", {"threw in check: 42 (int)"}},
      {"unruly", "throws_error", {"threw in check: the rows are sold out"}},
      {"unruly", "throws_text", {"threw in check: no rows today"}},
      {"unruly", "throws_nested", {"threw in check: no rows: the cellar is flooded"}},
      {"unruly", "throws_object", {"threw in check: an object of the type ", "Odd"}},
      {"unruly", "fails_check", {"broke a rule in check: the policy was not told"}},
      {"unruly", "unwatched_mass", {"broke a rule in MassSink::add: mass of ", "RowMass has grown to 0"}},
      {"unruly", "wide_tile", {"broke a rule in tile: tile 0 of 100 rows", "at most 64 rows"}},
      {"unruly", "empty_numbers", {"broke a rule in tile: tile 0 of ", "no numbers"}},
      {"unruly", "more_rows", {"broke a rule in rows: kv head 0 of sequence 0 has ", " rows after "}},
      {"unruly", "reads_nothing", {"broke a rule in select: head 0 of kv head ", "reads none of the 1 tiles"}},
      {"unruly", "other_shape", {"broke a rule in create: the cache has another shape"}},
      {"unruly", "lost_rows", {"broke a rule in tile: the tiles of kv head 0", "that live"}, false, true},
      {"unruly", "throws_in_tile", {"threw in tile, which must not throw: the tile is broken"}, true},
      {"unruly", "segfaults", {"ended by signal 11 (Segmentation fault) in tile"}, true},
      {"careless", "odd_shape", {"broke a rule in kv_shape: key_dim is 0"}},
      {"careless", "odd_state", {"broke a rule in state_floats: a state of -1 numbers"}},
      {"careless", "odd_parameter", {"broke a rule in parameters: parameter \"q_proj.weight\" has an axis of -1"}},
      {"careless", "skips_tokens", {"broke a rule in forward: it appended 0 rows of sequence 0 in a chunk of "}},
      {"careless",
       "narrow_keys",
       {"broke a rule in forward: it appends keys [", ", 2, 8] to a cache", ", 2, 16] here"}},
      {"careless", "narrow_queries", {"broke a rule in forward: attend: queries [", ", 4, 8]", ", 4, 16] and ["}},
      {"careless", "odd_product", {"broke a rule in forward: the input of a product has another width"}},
      {"careless", "throws_a_number", {"threw in forward: 7 (int)"}},
      {"careless", "aborts", {"ended by signal 6 (Aborted) in forward"}, true},
  };
}

class EveryMisdeed : public testing::TestWithParam<Misdeed> {
 protected:
  // One line names the component, its file, the call and what was wrong.
  void expect_named(const Outcome& outcome) const {
    const Misdeed& misdeed = GetParam();
    if (misdeed.dies)
      EXPECT_NE(outcome.exit_code, 0) << outcome;
    else
      EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_TRUE(outcome.first_error().starts_with("attnlab: " + misdeed.named())) << outcome;
    expect_mentions(outcome.first_error(), misdeed.mentions);
  }
  Sandbox sandbox_;
};

TEST_P(EveryMisdeed, IsSaidByACommandWithNameFileAndCall) {
  const Misdeed& misdeed = GetParam();
  expect_named(sandbox_.run({"generate", kTinyModel, "--prompt", "hello there", "-n", "3", "--plugin",
                             plugin_file(misdeed.plugin).string(), "--" + misdeed.kind(), misdeed.id}));
  if (misdeed.id == "reads_nothing") return;  // only steps choose what they read, and logits are of a prompt
  sandbox_.write("ids.txt", "1 2 3 4 5 6 7 8");
  expect_named(sandbox_.run({"logits", kTinyModel, "--ids", "ids.txt", "-o", "out.safetensors", "--chunk", "1",
                             "--plugin", plugin_file(misdeed.plugin).string(), "--" + misdeed.kind(), misdeed.id}));
  EXPECT_FALSE(fs::exists(sandbox_ / "out.safetensors"));
}

// A single command checks no arm.
std::vector<Misdeed> misdeeds_of_commands() {
  std::vector<Misdeed> misdeeds = every_misdeed();
  std::erase_if(misdeeds, [](const Misdeed& misdeed) { return misdeed.needs_a_check; });
  return misdeeds;
}

INSTANTIATE_TEST_SUITE_P(, EveryMisdeed, testing::ValuesIn(misdeeds_of_commands()),
                         [](const auto& test) { return test.param.id; });

TEST(Misdeeds, AreSaidByReplayAndBenchToo) {
  const Sandbox sandbox;
  const std::vector<float> numbers(8 * 2 * 16, 0.5F);
  const auto stream = [&](const char* name) {
    return model::OutputTensor{
        .name = name, .dtype = model::DType::f32, .shape = {8, 2, 16}, .bytes = std::as_bytes(std::span(numbers))};
  };
  const model::OutputTensor streams[] = {stream("q"), stream("k"), stream("v")};
  model::write_safetensors(sandbox / "streams.safetensors", streams);
  const std::string file = plugin_file("unruly").string();
  for (const char* id : {"repeats", "throws_int", "wide_tile", "other_shape"}) {
    const Outcome replayed = sandbox.run(
        {"replay", "streams.safetensors", "--cache", id, "--prefill", "5", "-o", "out.safetensors", "--plugin", file});
    EXPECT_EQ(replayed.exit_code, 2) << replayed;
    expect_mentions(replayed.first_error(), {"attnlab: cache \"" + std::string(id) + "\" (" + file + ")"});
    const Outcome measured =
        sandbox.run({"bench", "--threads", "1", "--plugin", file,
                     "--benchmark_filter=^cache/" + std::string(id) + "/head_dim:64/context:512/decode",
                     "--benchmark_min_time=0.01"});
    EXPECT_EQ(measured.exit_code, 1) << measured;
    expect_mentions(measured.out, {"ERROR OCCURRED", "cache \"" + std::string(id) + "\" (" + file + ")"});
  }
}

// The stack is gone: the line is written from another.
TEST(Misdeeds, OfEndlessRecursionAreNamedToo) {
  const Sandbox sandbox;
  const Outcome outcome = sandbox.run({"generate", kTinyModel, "--prompt", "hello there", "-n", "2", "--threads", "1",
                                       "--plugin", plugin_file("unruly").string(), "--cache", "recurses"});
  EXPECT_NE(outcome.exit_code, 0);
  expect_mentions(outcome.first_error(), {"attnlab: cache \"recurses\" (", "signal 11", "in tile"});
}

// All of them as arms of one experiment: none is a number, and the sound arm between them is measured.
TEST(Misdeeds, AreFailedRowsOfTheirArmsAndTheOthersGoOn) {
  const Sandbox sandbox;
  std::string arms = "[{name: sound, cache: full}";
  for (const Misdeed& misdeed : every_misdeed())
    arms += ", {name: " + misdeed.id + ", " + misdeed.kind() + ": " + misdeed.id + "}";
  sandbox.write("study.yaml", Experiment{.arms = arms + "]",
                                         .workloads = "[{generate: {prompt: hello there, tokens: 4}}]",
                                         .more = "warmup: 0\nplugins: [" + plugin_file("unruly").string() + ", " +
                                                 plugin_file("careless").string() + "]"}
                                  .yaml());
  // A sanitizer that takes the signal writes so much that the host's line is not among the last that are kept.
  const char* const given = std::getenv("ASAN_OPTIONS");
  const std::string options = (given == nullptr ? std::string() : std::string(given) + ":") + "handle_segv=0";
  const Outcome outcome = sandbox.run({"run", "study.yaml", "-o", "out"}, {.variables = {{"ASAN_OPTIONS", options}}});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  const CsvTable summary = summary_of(sandbox / "out");
  for (const std::size_t row : summary.where({{"arm", "sound"}})) EXPECT_EQ(summary.at(row, "status"), "ok");
  for (const Misdeed& misdeed : every_misdeed()) {
    const auto rows = summary.where({{"arm", misdeed.id}});
    ASSERT_EQ(rows.size(), 1U) << misdeed.id;
    const std::string& status = summary.at(rows.front(), "status");
    EXPECT_TRUE(status.starts_with("failed: ")) << misdeed.id << ": " << status;
    EXPECT_EQ(summary.at(rows.front(), "median"), "") << misdeed.id;
    expect_mentions(status, misdeed.mentions);
    expect_mentions(status, {misdeed.named()});
  }
}

TEST(Misdeeds, OfAnOutputThatIsNotWrittenAreNoNumbers) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{.arms = "[{name: sound, cache: full}, {name: lazy, attention: leaves_output}]",
                                         .more = "plugins: [" + plugin_file("careless").string() + "]"}
                                  .yaml());
  EXPECT_EQ(sandbox.run({"run", "study.yaml", "-o", "out"}).exit_code, 1);
  const CsvTable summary = summary_of(sandbox / "out");
  const auto rows = summary.where({{"arm", "lazy"}});
  ASSERT_EQ(rows.size(), 1U);
  expect_mentions(summary.at(rows.front(), "status"), {"wrong: ", "NaN"});
}

struct Case {
  std::string id;
  std::string law;
  std::vector<std::string> mentions;
  int broken = 0;  // laws; 0: not counted
  friend std::ostream& operator<<(std::ostream& stream, const Case& test) { return stream << test.id; }
};

class EveryEnding : public testing::TestWithParam<Case> {};

// A crash or a hang breaks the law in which it happens; the others run as if nothing had been.
TEST_P(EveryEnding, BreaksItsLawByNameAndTheOtherLawsAreTried) {
  const Sandbox sandbox;
  const Outcome outcome =
      sandbox.run({"check", GetParam().id, "--plugin", plugin_file("unruly").string(), "--limit", "10"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  int broken = 0;
  bool found = false;
  for (const std::string& line : lines_of(outcome.out)) {
    if (line.starts_with("  FAIL  ")) ++broken;
    if (!line.starts_with("  FAIL  " + GetParam().law + " ")) continue;
    found = true;
    expect_mentions(line, GetParam().mentions);
    expect_mentions(line, {"/" + GetParam().id});
  }
  EXPECT_TRUE(found) << outcome;
  expect_mentions(outcome.out, {"1 component checked, " + std::to_string(broken) + " law"});
  if (GetParam().broken == 0) return;
  EXPECT_EQ(broken, GetParam().broken) << outcome;
  expect_mentions(outcome.out,
                  {"  ok    can be made and run ", "  ok    declared traits are true "});  // first and last
}

INSTANTIATE_TEST_SUITE_P(
    , EveryEnding,
    testing::Values(
        Case{"repeats", "can be made and run", {"cache \"repeats\" (", "entry 1 is row 1 once more"}},
        Case{"nan_scores", "can be made and run", {"cache \"nan_scores\" (", "row 1 (position 1) is NaN"}},
        Case{"throws_int", "can be made and run", {"cache \"throws_int\" (", "threw in check: 42 (int)"}},
        Case{"throws_in_tile", "causal", {"cache \"throws_in_tile\" (", "must not throw: the tile is broken"}},
        Case{"segfaults", "causal", {"cache \"segfaults\" (", "ended by signal 11", "in tile"}},
        Case{"lost_rows", "can be made and run", {"cache \"lost_rows\" (", "that live"}},
        Case{"hangs_in_clear", "clear goes back to the start", {"longer than the limit of 10 s", "in clear"}, 1},
        // Within the limit on each combination, and not on all of them.
        Case{"dawdles_in_clear", "clear goes back to the start", {"longer than the limit of 10 s", "in clear"}, 1},
        Case{"dies_in_save", "save and restore go on identically", {"signal 11", "in save"}, 1},
        Case{"exits_in_save", "save and restore go on identically", {"ended with exit code 3"}, 1},
        Case{"forgetful", "save and restore go on identically", {" after it was saved ", " and restored into "}},
        Case{"hoarding", "save and restore go on identically", {"bytes more than when it was new, and saves nothing"}}),
    [](const auto& test) { return test.param.id; });

// The folder of the report that brought this up: a cache whose check throws an int, given as a source.
TEST(Bughunt, PluginThrowsIntIsAnErrorWithItsName) {
  const Sandbox sandbox;
  sandbox.write("it.cpp", read_file(fs::path(ATTNLAB_TEST_DATA_DIR) / "bughunt/plugin-throws-int/it.cpp"));
  const Outcome outcome =
      sandbox.run({"generate", kTinyModel, "--prompt", "hello", "-n", "2", "--plugin", "it.cpp", "--cache", "it"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  const std::vector<std::string> lines = lines_of(outcome.err);  // the plugin writes lines of its own before
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines.back(), "attnlab: cache \"it\" (it.cpp) threw in check: 42 (int)");
}

}  // namespace
}  // namespace attnlab::program_test

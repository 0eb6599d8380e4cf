// Cache policies against recorded streams: what each of them answers and what it keeps, by the definitions of
// fixtures/cache/SPEC.md and fixtures/plugins/SPEC.md, computed in float64 by two independent programs. `rope` holds
// streams that the policy sees rotated, and sinks whose positions are numbered anew; `policies` is what the plugins'
// fixtures call basic. Families have folders of the same names. Not here: cases of storages.
#include <map>
#include <optional>
#include <set>

#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

constexpr double kTolerance = 1e-5;  // of the manifests

struct ReplayCase {
  fs::path golden;  // the case's file
  int prefill = 0;
  std::string cache;      // as --cache takes it
  std::string position;   // as --position takes it; empty: none
  std::string variation;  // how the same golden is asked for

  friend std::ostream& operator<<(std::ostream& stream, const ReplayCase& test) {
    return stream << test.golden << " with " << test.cache;
  }
};

// The ways in which a policy of the manifest can be written here, by a name for each.
std::map<std::string, std::string> spellings(const nlohmann::json& test) {
  const std::string policy = test.at("policy");
  const nlohmann::json& parameters = test.at("parameters");
  if (policy == "plain")
    return {{"", "full"},
            {"_unrotated", "{full: {keys: unrotated}}"},
            {"_wide_window", "{window: {window: 1000}}"},
            {"_wide_sink", "{sink: {sinks: 4, window: 1000}}"}};
  // Named and written as the manifest has them.
  static const std::set<std::string> as_they_are{"h2o",   "tova", "adakv", "keydiff", "expected_attention",
                                                 "quest", "duo"};
  if (as_they_are.contains(policy)) {
    nlohmann::json options = parameters;
    if (options.erase("rope_theta") == 0) return {{"", nlohmann::json{{policy, options}}.dump()}};
    nlohmann::json unrotated = options;
    unrotated["keys"] = "unrotated";
    return {{"", nlohmann::json{{policy, options}}.dump()}, {"_unrotated", nlohmann::json{{policy, unrotated}}.dump()}};
  }
  if (policy == "window") return {{"", "{window: {window: " + parameters.at("w").dump() + "}}"}};
  if (policy != "sink") return {};
  const std::string options = "sinks: " + parameters.at("s").dump() + ", window: " + parameters.at("w").dump();
  const auto sink = [&](const std::string& more) { return "{sink: {" + options + more + "}}"; };
  if (parameters.value("positions", "") == "renumbered")
    return {{"", sink("")}, {"_unrotated", sink(", keys: unrotated")}};
  // Without positions it does not matter how they are numbered.
  return {{"", sink(", positions: original")}, {"_renumbered", sink("")}};
}

std::vector<ReplayCase> every_case() {
  std::vector<fs::path> folders;
  for (const char* kind : {"cache", "families/cache"})
    for (const auto& entry : fs::directory_iterator(kOwnFixtures / kind)) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  std::vector<ReplayCase> cases;
  for (const fs::path& folder : folders) {
    const nlohmann::json manifest = read_manifest(folder / "manifest.json");
    for (const auto& [name, test] : manifest.at("cases").items()) {
      const nlohmann::json& parameters = test.at("parameters");
      const std::string position =
          parameters.contains("rope_theta") ? "{rope: {theta: " + parameters.at("rope_theta").dump() + "}}" : "";
      for (const auto& [variation, cache] : spellings(test))
        cases.push_back({folder / (name + ".safetensors"), manifest.at("prefill"), cache, position, variation});
    }
  }
  return cases;
}

Outcome replay(const Sandbox& sandbox, const fs::path& streams, int prefill, const std::string& cache,
               const std::string& position, const std::string& out) {
  std::vector<std::string> command{"replay",    streams.string(),        "--cache", cache,
                                   "--prefill", std::to_string(prefill), "-o",      out};
  if (!position.empty()) command.insert(command.end(), {"--position", position});
  return sandbox.run(command);
}

class EveryReplayGolden : public testing::TestWithParam<ReplayCase> {};

TEST_P(EveryReplayGolden, IsReproduced) {
  const ReplayCase& test = GetParam();
  const Sandbox sandbox;
  const Outcome outcome = replay(sandbox, test.golden.parent_path() / "streams.safetensors", test.prefill, test.cache,
                                 test.position, "out.safetensors");
  expect_well(outcome);
  EXPECT_EQ(outcome.out, "");
  EXPECT_LT(largest_difference(read_floats(sandbox / "out.safetensors", "out"), read_floats(test.golden, "out")),
            kTolerance);
  const auto kept = read_tensor<std::uint8_t>(sandbox / "out.safetensors", "kept", model::DType::u8);
  const auto golden = read_tensor<std::uint8_t>(test.golden, "kept", model::DType::u8);
  EXPECT_EQ(kept.shape, golden.shape);
  EXPECT_TRUE(kept.numbers == golden.numbers) << "other rows were kept";
}

INSTANTIATE_TEST_SUITE_P(, EveryReplayGolden, testing::ValuesIn(every_case()), [](const auto& test) {
  const fs::path& golden = test.param.golden;
  const fs::path folder = golden.parent_path();
  const bool of_families = folder.parent_path().parent_path().filename() == "families";
  return test_name((of_families ? "families_" : "") + folder.filename().string() + "_" + golden.stem().string() +
                   test.param.variation);
});

// plain in nine folders, four ways each; four sinks without positions and two renumbered ones, two ways each; ten
// scoring policies without positions and one with, which also scores keys that are stored without rotation; heads that
// stream, without positions and with, the same two ways.
TEST(ReplayGoldens, AreAllThere) {
  EXPECT_EQ(every_case().size(), 9U * 4 + 4 * 2 + 2 * 2 + 10 + 1 * 2 + 1 + 1 * 2);
}

class EveryStream : public testing::TestWithParam<std::string> {
 protected:
  [[nodiscard]] fs::path streams() const { return kOwnFixtures / "cache" / GetParam() / "streams.safetensors"; }
  [[nodiscard]] int prefill() const {
    return read_manifest(kOwnFixtures / "cache" / GetParam() / "manifest.json").at("prefill");
  }
  std::string bytes(const std::string& cache, const std::string& position) const {
    expect_well(replay(sandbox_, streams(), prefill(), cache, position, "out.safetensors"));
    return read_file(sandbox_ / "out.safetensors");
  }
  Sandbox sandbox_;
};

// The parameter edges of SPEC.md that need no golden.
TEST_P(EveryStream, GivesTheSameForAWindowAndForASinkWithoutSinks) {
  for (const char* window : {"1", "7", "64"}) {
    const std::string size = "window: " + std::string(window);
    EXPECT_TRUE(bytes("{window: {" + size + "}}", "rope") ==
                bytes("{sink: {sinks: 0, positions: original, " + size + "}}", "rope"))
        << size;
  }
}

TEST_P(EveryStream, AnswersWithTheQueriesOwnValueForAWindowOfOne) {
  bytes("{window: {window: 1}}", "");
  const Values<float> values = read_floats(streams(), "v");
  const Values<float> out = read_floats(sandbox_ / "out.safetensors", "out");
  const std::int64_t group = out.shape[1] / values.shape[1];
  const std::int64_t width = out.shape[2];
  for (std::int64_t token = 0; token < out.shape[0]; ++token)
    for (std::int64_t head = 0; head < out.shape[1]; ++head)
      for (std::int64_t i = 0; i < width; ++i)
        ASSERT_NEAR(out.numbers[(token * out.shape[1] + head) * width + i],
                    values.numbers[(token * values.shape[1] + head / group) * width + i], 1e-6)
            << "token " << token << ", head " << head;
}

// Rotations keep scores where distances are kept, so numbering rows anew only moves the sinks: with all rows in the
// cache nothing moves.
TEST_P(EveryStream, GivesTheSameForSinksNumberedAnewAsLongAsNothingIsEvicted) {
  const auto out = [&](const std::string& numbering) {
    bytes("{sink: {sinks: 4, window: 1000, positions: " + numbering + "}}", "rope");
    return read_floats(sandbox_ / "out.safetensors", "out");
  };
  EXPECT_LT(largest_difference(out("original"), out("renumbered")), kTolerance);
}

TEST_P(EveryStream, GivesTheBitsOfTheFullCacheWhileNothingIsOverBudget) {
  const std::string full = bytes("full", "rope");
  for (const char* policy : {"tova", "knorm", "keydiff", "random", "expected_attention", "quest"})
    EXPECT_TRUE(bytes("{" + std::string(policy) + ": {budget: 96}}", "rope") == full) << policy;
  for (const char* policy : {"snapkv", "adakv", "pyramidkv"})
    EXPECT_TRUE(bytes("{" + std::string(policy) + ": {budget: 96, window: 5}}", "rope") == full) << policy;
  EXPECT_TRUE(bytes("{h2o: {heavy: 30, recent: 66}}", "rope") == full);
  EXPECT_TRUE(bytes("{duo: {streaming: [0, 1], sinks: 4, window: 96}}", "rope") == full);
  EXPECT_TRUE(bytes("{duo: {streaming: [], sinks: 4, window: 12}}", "rope") == full);
}

// The same rows in other tiles, which are summed in another order.
TEST_P(EveryStream, GivesTheSameForASinkAndWhereAllHeadsStream) {
  const auto answers = [&](const std::string& cache) {
    bytes(cache, "rope");
    return std::pair(read_floats(sandbox_ / "out.safetensors", "out"),
                     read_tensor<std::uint8_t>(sandbox_ / "out.safetensors", "kept", model::DType::u8).numbers);
  };
  std::string heads;
  for (std::int64_t head = read_floats(streams(), "v").shape[1]; head-- > 0;) heads += std::to_string(head) + ", ";
  const auto [of_duo, duo_keeps] = answers("{duo: {streaming: [" + heads + "], sinks: 3, window: 7}}");
  const auto [of_sink, sink_keeps] = answers("{sink: {sinks: 3, window: 7, positions: original}}");
  EXPECT_LT(largest_difference(of_duo, of_sink), kTolerance);
  EXPECT_TRUE(duo_keeps == sink_keeps);
}

TEST_P(EveryStream, RefusesToStreamHeadsThatAreNotThereOrTwice) {
  for (const auto& [heads, what] : {std::pair("[0, 9]", "there is no kv head 9"), std::pair("[1, 1]", "there twice")}) {
    const Outcome outcome =
        replay(sandbox_, streams(), prefill(), "{duo: {streaming: " + std::string(heads) + "}}", "", "out.safetensors");
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_NE(outcome.err.find(what), std::string::npos) << outcome.err;
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryStream, testing::Values("basic", "short-prefill", "rope", "policies"),
                         [](const auto& test) { return test_name(test.param); });

}  // namespace
}  // namespace attnlab::program_test

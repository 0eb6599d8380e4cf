// Storages and policies of the families against recorded streams, by fixtures/families/SPEC.md: what is answered,
// what is kept, and the rows as they are held at the end.
#include <string>
#include <vector>

#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

constexpr double kTolerance = 1e-5;  // of the manifests

struct FamilyCase {
  fs::path golden;  // the case's file
  int prefill = 0;
  std::string cache;     // as --cache takes it
  std::string position;  // as --position takes it; empty: none
  std::string keys;      // tensor of the golden that the keys at the end are
  std::string values;

  friend std::ostream& operator<<(std::ostream& stream, const FamilyCase& test) {
    return stream << test.golden << " with " << test.cache;
  }
};

std::vector<FamilyCase> every_case() {
  std::vector<FamilyCase> cases;
  for (const char* folder : {"basic", "rope", "hadamard", "fp8"}) {
    const fs::path path = kOwnFixtures / "families" / "cache" / folder;
    const nlohmann::json manifest = read_manifest(path / "manifest.json");
    for (const auto& [name, test] : manifest.at("cases").items()) {
      nlohmann::json options = test.at("parameters");
      FamilyCase one{.golden = path / (name + ".safetensors"), .prefill = manifest.at("prefill")};
      if (options.contains("rope_theta")) one.position = "{rope: {theta: " + options.at("rope_theta").dump() + "}}";
      options.erase("rope_theta");
      const std::string policy = test.at("policy");
      if (policy == "plain") {
        one.cache = "full";
      } else if (policy == "merge") {
        one.cache = nlohmann::json{{"merge", options}}.dump();
        one.keys = "k_end";
        one.values = "v_end";
      } else if (policy == "hadamard" || policy == "fp8") {
        one.cache = nlohmann::json{{"full", {{"storage", {{policy, options}}}}}}.dump();
        one.keys = "k_deq";
        one.values = "v_deq";
      } else if (policy == "chunkkv" || policy == "lagkv") {
        one.cache = nlohmann::json{{policy, options}}.dump();
      } else {
        continue;
      }
      cases.push_back(std::move(one));
    }
  }
  return cases;
}

class EveryFamilyCache : public testing::TestWithParam<FamilyCase> {};

TEST_P(EveryFamilyCache, IsReproduced) {
  const FamilyCase& test = GetParam();
  const Sandbox sandbox;
  const fs::path streams = test.golden.parent_path() / "streams.safetensors";
  std::vector<std::string> command{"replay",   streams.string(), "--cache",
                                   test.cache, "--prefill",      std::to_string(test.prefill),
                                   "-o",       "out.safetensors"};
  if (!test.position.empty()) command.insert(command.end(), {"--position", test.position});
  expect_well(sandbox.run(command));
  const fs::path found = sandbox / "out.safetensors";
  EXPECT_LT(largest_difference(read_floats(found, "out"), read_floats(test.golden, "out")), kTolerance);
  if (test.keys.empty() || test.keys == "k_end") {
    const auto kept = read_tensor<std::uint8_t>(found, "kept", model::DType::u8);
    const auto golden = read_tensor<std::uint8_t>(test.golden, "kept", model::DType::u8);
    EXPECT_EQ(kept.shape, golden.shape);
    EXPECT_TRUE(kept.numbers == golden.numbers) << "other rows were kept";
  }
  if (test.keys.empty()) return;
  // A code next to the right one would be off by a whole step.
  EXPECT_LT(largest_difference(read_floats(found, "k_end"), read_floats(test.golden, test.keys)), kTolerance);
  EXPECT_LT(largest_difference(read_floats(found, "v_end"), read_floats(test.golden, test.values)), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(, EveryFamilyCache, testing::ValuesIn(every_case()), [](const auto& test) {
  const fs::path& golden = test.param.golden;
  return test_name(golden.parent_path().filename().string() + "_" + golden.stem().string());
});

// plain in four folders, two merges without positions and one with, two of hadamard and of fp8, one of chunkkv and two
// of lagkv.
TEST(FamilyCacheGoldens, AreAllThere) {
  EXPECT_EQ(every_case().size(), 4U + 3 + 2 + 2 + 1 + 2);
}

TEST(Merging, IsRefusedWhereRowsCannotBeReplaced) {
  const Sandbox sandbox;
  const std::string streams = (kOwnFixtures / "families" / "cache" / "basic" / "streams.safetensors").string();
  const auto refused = [&](const std::string& options, const std::vector<std::string>& why) {
    expect_refused(sandbox,
                   {"replay", streams, "--prefill", "64", "-o", "out.safetensors", "--position", "rope", "--cache",
                    "{merge: {heavy: 8, recent: 12, " + options + "}}"},
                   why);
  };
  for (const char* storage : {"bf16", "int8", "int4", "hadamard"})
    refused("storage: " + std::string(storage), {"cache \"merge\"", storage, "cannot be replaced", "use storage f32"});
  refused("storage: kivi", {"cache \"merge\"", "kivi"});
  refused("storage: {k: f32, v: int8}", {"cache \"merge\"", "int8"});
  refused("keys: unrotated", {"cache \"merge\"", "keys: rotated"});
}

}  // namespace
}  // namespace attnlab::program_test

// Logits of every random model against goldens computed in float64 by an independent program: as the checkpoint has
// it, with other positions, with converted heads; the prompt in one piece, in pieces, and token by token.
// The folders are copies of the shared fixtures, so that these tests run everywhere. A golden that is added is found.
#include <optional>

#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

constexpr double kTolerance = 2e-4;  // the manifests ask for 1e-3, "2e-4 is usual"

struct LogitsCase {
  fs::path manifest;  // golden*.json
  int chunk;          // 0: all at once

  friend std::ostream& operator<<(std::ostream& stream, const LogitsCase& test) { return stream << test.manifest; }
};

std::vector<LogitsCase> every_case() {
  std::vector<fs::path> manifests;
  for (const auto& entry : fs::recursive_directory_iterator(kOwnFixtures / "models"))
    if (entry.path().extension() == ".json" && entry.path().filename().string().starts_with("golden"))
      manifests.push_back(entry.path());
  std::sort(manifests.begin(), manifests.end());
  std::vector<LogitsCase> cases;
  for (const fs::path& manifest : manifests)
    for (const int chunk : {0, 16, 1}) cases.push_back({manifest, chunk});
  return cases;
}

std::string case_name(const testing::TestParamInfo<LogitsCase>& test) {
  const std::string golden = test.param.manifest.stem().string().substr(std::string("golden").size());
  const std::string feeding = test.param.chunk == 0 ? "_at_once" : "_by_" + std::to_string(test.param.chunk);
  return test_name(test.param.manifest.parent_path().filename().string() + golden + feeding);
}

// What the golden changes of the checkpoint, as flags of the command.
std::vector<std::string> overrides(const nlohmann::json& manifest) {
  std::vector<std::string> flags;
  if (const auto position = manifest.value("position", "rope"); position != "rope") flags = {"--position", position};
  if (const auto change = manifest.find("config_change"); change != manifest.end()) {
    const int heads = change->at("num_key_value_heads");
    flags.insert(flags.end(), {"--attention", heads == 1 ? "mqa" : "{gqa: {kv_heads: " + std::to_string(heads) + "}}"});
  }
  return flags;
}

class EveryLogitsGolden : public testing::TestWithParam<LogitsCase> {};

TEST_P(EveryLogitsGolden, IsReproduced) {
  const auto& [path, chunk] = GetParam();
  const nlohmann::json manifest = read_manifest(path);
  const Sandbox sandbox;
  sandbox.write("ids.txt", ids_text(manifest.at("prompt_ids")));
  std::vector<std::string> command{"logits", path.parent_path().string(), "--ids", "ids.txt", "-o", "out.safetensors"};
  for (const std::string& flag : overrides(manifest)) command.push_back(flag);
  if (chunk > 0) command.insert(command.end(), {"--chunk", std::to_string(chunk)});
  const Outcome outcome = sandbox.run(command);
  expect_well(outcome);
  EXPECT_EQ(outcome.out, "");
  const Values<float> golden = read_floats(fs::path(path).replace_extension(".safetensors"), "logits");
  EXPECT_LT(largest_difference(read_floats(sandbox / "out.safetensors", "logits"), golden), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(, EveryLogitsGolden, testing::ValuesIn(every_case()), case_name);

// So that a fixture that gets lost is noticed: nine models, and the five goldens of the overrides.
TEST(LogitsGoldens, AreAllThere) {
  EXPECT_EQ(every_case().size(), 3U * (9 + 5));
}

TEST(LogitsGoldens, AreCopiesOfTheSharedFixtures) {
  if (!fs::exists(kSharedFixtures)) GTEST_SKIP() << "missing: " << kSharedFixtures.string();
  for (const char* kind : {"models", "cache"})
    for (const auto& entry : fs::recursive_directory_iterator(kOwnFixtures / kind)) {
      if (!entry.is_regular_file()) continue;
      const fs::path inside = fs::path(kind) / fs::relative(entry.path(), kOwnFixtures / kind);
      fs::path original = kSharedFixtures / inside;
      if (!fs::exists(original)) original = kSharedFixtures / "plugins" / inside;
      ASSERT_TRUE(fs::exists(original)) << original;
      EXPECT_TRUE(read_file(entry.path()) == read_file(original)) << entry.path() << " differs from " << original;
    }
  for (const auto& entry : fs::directory_iterator(kSharedFixtures / "models")) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(fs::exists(kOwnFixtures / "models" / name), name != "stories260K") << name;
  }
}

}  // namespace
}  // namespace attnlab::program_test

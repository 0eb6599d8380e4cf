// Logits of every random model against goldens computed in float64 by an independent program: as the checkpoint has
// it, with other positions, with converted heads, with each attention and position plugin, with layers that differ; the
// prompt in one piece, in pieces, and token by token.
// The folders are copies of the shared fixtures, so that these tests run everywhere. A golden that is added is found.
#include <map>

#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

constexpr double kTolerance = 2e-4;  // the manifests ask for 1e-3, "2e-4 is usual"

struct LogitsCase {
  fs::path manifest;  // golden*.json
  int chunk;          // 0: all at once

  friend std::ostream& operator<<(std::ostream& stream, const LogitsCase& test) { return stream << test.manifest; }
};

const fs::path kModels[] = {"models", "plugins/models", "families/models", "architectures"};

// A scaling that depends on the length of the sequence is computed for a prompt that is known to its end.
bool is_at_once_only(const fs::path& manifest) {
  const std::string model = manifest.parent_path().filename();
  return model == "position-longrope" || model == "phi3-longrope";
}

std::vector<LogitsCase> every_case() {
  std::vector<fs::path> manifests;
  for (const fs::path& kind : kModels)
    for (const auto& entry : fs::recursive_directory_iterator(kOwnFixtures / kind))
      if (entry.path().extension() == ".json" && entry.path().filename().string().starts_with("golden"))
        manifests.push_back(entry.path());
  std::sort(manifests.begin(), manifests.end());
  std::vector<LogitsCase> cases;
  for (const fs::path& manifest : manifests)
    for (const int chunk : {0, 16, 1})
      if (chunk == 0 || !is_at_once_only(manifest)) cases.push_back({manifest, chunk});
  return cases;
}

std::string case_name(const testing::TestParamInfo<LogitsCase>& test) {
  const std::string golden = test.param.manifest.stem().string().substr(std::string("golden").size());
  const std::string feeding = test.param.chunk == 0 ? "_at_once" : "_by_" + std::to_string(test.param.chunk);
  const fs::path model = test.param.manifest.parent_path();
  const std::string kind = model.parent_path().parent_path().filename();
  return test_name((kind == "fixtures" ? "" : kind + "_") + model.filename().string() + golden + feeding);
}

// The components of all layers in our notation: that of layer 0, and where others stand.
std::string layered(const std::vector<std::string>& components) {
  std::string base = components[0];
  std::map<std::string, std::string> layers_of;
  for (std::size_t layer = 0; layer < components.size(); ++layer)
    if (components[layer] != base) {
      std::string& layers = layers_of[components[layer]];
      layers += (layers.empty() ? "" : ",") + std::to_string(layer);
    }
  if (layers_of.empty()) return base;
  base = base.starts_with("{") ? base.substr(1, base.size() - 2) : base + ": {}";
  std::string others;
  for (const auto& [component, layers] : layers_of)
    others += (others.empty() ? "" : ", ") + ("\"" + layers + "\": " + component);
  return "{" + base + ", layers: {" + others + "}}";
}

// What the golden changes of the checkpoint, as flags of the command.
std::vector<std::string> overrides(const nlohmann::json& manifest) {
  std::map<std::string, std::string> changed;
  for (const std::string kind : {"attention", "position", "cache"}) {
    if (const auto given = manifest.find(kind); given != manifest.end() && given->is_string()) changed[kind] = *given;
    if (const auto layers = manifest.find("layers"); layers != manifest.end() && kind != "cache") {
      std::vector<std::string> components;
      for (const nlohmann::json& layer : *layers) components.push_back(layer.at(kind));
      changed[kind] = layered(components);
    }
  }
  if (const auto change = manifest.find("config_change"); change != manifest.end()) {
    const int heads = change->at("num_key_value_heads");
    changed["attention"] = heads == 1 ? "mqa" : "{gqa: {kv_heads: " + std::to_string(heads) + "}}";
  }
  std::vector<std::string> flags;
  for (const auto& [kind, component] : changed) {
    if (kind == "position" && component == "rope") continue;  // what every checkpoint has
    flags.insert(flags.end(), {"--" + kind, component});
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

// So that a fixture that gets lost is noticed: nine models, and the five goldens of the overrides; 28 models of
// plugins, one of them with two goldens that are fed at once; 15 families with two goldens each; 15 architectures,
// one of them with two goldens that are fed at once.
TEST(LogitsGoldens, AreAllThere) {
  EXPECT_EQ(every_case().size(), 3U * (9 + 5) + 3U * 27 + 2 + 3U * 15 * 2 + 3U * 14 + 2);
}

TEST(LogitsGoldens, WriteSchedulesInOurNotation) {
  EXPECT_EQ(layered({"rope", "rope"}), "rope");
  EXPECT_EQ(layered({"{gqa: {window: 16}}", "gqa", "{gqa: {window: 16}}", "gqa"}),
            "{gqa: {window: 16}, layers: {\"1,3\": gqa}}");
  EXPECT_EQ(layered({"rope", "none", "alibi", "none"}), "{rope: {}, layers: {\"2\": alibi, \"1,3\": none}}");
}

TEST(LogitsGoldens, AreCopiesOfTheSharedFixtures) {
  if (!fs::exists(kSharedFixtures)) GTEST_SKIP() << "missing: " << kSharedFixtures.string();
  for (const char* kind : {"models", "cache", "plugins/models", "families/models", "families/cache", "architectures"})
    for (const auto& entry : fs::recursive_directory_iterator(kOwnFixtures / kind)) {
      if (!entry.is_regular_file()) continue;
      const fs::path inside = fs::path(kind) / fs::relative(entry.path(), kOwnFixtures / kind);
      fs::path original = kSharedFixtures / inside;
      if (!fs::exists(original)) original = kSharedFixtures / "plugins" / inside;
      // Two shared folders are named basic.
      if (inside.parent_path() == "cache/policies")
        original = kSharedFixtures / "plugins/cache/basic" / inside.filename();
      ASSERT_TRUE(fs::exists(original)) << original;
      EXPECT_TRUE(read_file(entry.path()) == read_file(original)) << entry.path() << " differs from " << original;
    }
  for (const auto& entry : fs::directory_iterator(kSharedFixtures / "models")) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(fs::exists(kOwnFixtures / "models" / name), name != "stories260K") << name;
  }
  for (const auto& entry : fs::directory_iterator(kSharedFixtures / "plugins/models")) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(fs::exists(kOwnFixtures / "plugins/models" / name)) << name;
  }
}

}  // namespace
}  // namespace attnlab::program_test

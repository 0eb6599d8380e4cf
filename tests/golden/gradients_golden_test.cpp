// Gradients of every model of the training fixtures, against float64 ones by an independent program; through the
// command, as its users get them. Large matrices are compared by two sketches, products with signs.
#include "golden/golden_tensors.h"
#include "golden/sketches.h"

namespace attnlab::program_test {
namespace {

const fs::path kGradients = kSharedFixtures / "training" / "gradients";

std::vector<fs::path> every_manifest() {
  std::vector<fs::path> manifests;
  if (!fs::exists(kGradients)) return {""};
  for (const auto& entry : fs::recursive_directory_iterator(kGradients))
    if (entry.path().filename() == "gradients.json") manifests.push_back(entry.path());
  std::sort(manifests.begin(), manifests.end());
  return manifests;
}

std::string case_name(const testing::TestParamInfo<fs::path>& test) {
  if (test.param.empty()) return "the_fixtures_are_not_here";
  const fs::path folder = test.param.parent_path();
  return test_name(folder.parent_path().filename().string() + "_" + folder.filename().string());
}

std::string flag_of(const nlohmann::json& spec) {
  return spec.is_string() ? spec.get<std::string>() : spec.dump();
}

class GoldenGradients : public testing::TestWithParam<fs::path> {};

TEST_P(GoldenGradients, AgreeForEveryParameter) {
  if (GetParam().empty()) GTEST_SKIP() << "the shared fixtures are not beside the checkout";
  const nlohmann::json manifest = read_manifest(GetParam());
  const Sandbox sandbox;
  sandbox.write("ids.txt", ids_text(manifest.at("ids")));
  std::vector<std::string> arguments{"gradients", (kSharedFixtures / manifest.at("model").get<std::string>()).string(),
                                     "--ids",     "ids.txt",
                                     "-o",        "out.safetensors"};
  for (const std::string kind : {"attention", "position"})
    if (!manifest.at(kind).is_null()) {
      arguments.push_back("--" + kind);
      arguments.push_back(flag_of(manifest.at(kind)));
    }
  expect_well(sandbox.run(arguments));

  const fs::path found = sandbox / "out.safetensors";
  const fs::path golden = GetParam().parent_path() / "gradients.safetensors";
  EXPECT_NEAR(read_floats(found, "loss").numbers.at(0), manifest.at("loss").get<double>(), 2e-5);
  const double largest = manifest.at("tolerance").at("largest_norm");
  for (const auto& [name, tensor] : manifest.at("tensors").items()) {
    const Values<float> gradient = read_floats(found, name);
    EXPECT_EQ(gradient.shape, tensor.at("shape").get<std::vector<std::int64_t>>()) << name;
    const double tolerance = 1e-4 * tensor.at("norm").get<double>() + 1e-6 * largest;
    expect_near_golden(gradient, golden, name, tolerance);
  }
  EXPECT_EQ(model::SafetensorsFile::open(found).tensors().size(), manifest.at("tensors").size() + 1)
      << "every trainable tensor and the loss, and nothing else";
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenGradients, testing::ValuesIn(every_manifest()), case_name);

}  // namespace
}  // namespace attnlab::program_test

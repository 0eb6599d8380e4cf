// Twelve steps of every optimiser on three models, against float64 traces by an independent program; through the
// command, as its users get them.
#include <cmath>
#include <map>
#include <sstream>

#include "golden/golden_tensors.h"
#include "golden/sketches.h"

namespace attnlab::program_test {
namespace {

const fs::path kTraces = kSharedFixtures / "training" / "traces";

std::vector<fs::path> every_file() {
  std::vector<fs::path> files;
  if (!fs::exists(kTraces)) return {""};
  for (const auto& entry : fs::recursive_directory_iterator(kTraces))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string case_name(const testing::TestParamInfo<fs::path>& test) {
  if (test.param.empty()) return "the_fixtures_are_not_here";
  return test_name(test.param.parent_path().filename().string() + "_" + test.param.stem().string());
}

std::vector<std::vector<double>> rows_of(const fs::path& csv) {
  std::vector<std::vector<double>> rows;
  const std::vector<std::string> lines = lines_of(read_file(csv));
  EXPECT_EQ(lines.at(0), "step,loss,gradient_norm,learning_rate,tokens,seconds");
  for (std::size_t line = 1; line < lines.size(); ++line) {
    std::istringstream cells(lines[line]);
    std::vector<double>& row = rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(std::stod(cell));
  }
  return rows;
}

class GoldenTraces : public testing::TestWithParam<fs::path> {};

TEST_P(GoldenTraces, AgreeInEveryStepAndInTheWeightsAfterThem) {
  if (GetParam().empty()) GTEST_SKIP() << "the shared fixtures are not beside the checkout";
  const nlohmann::json manifest = read_manifest(fs::path(GetParam()).replace_extension(".json"));
  const Sandbox sandbox;
  const Outcome outcome = sandbox.run({"train", GetParam().string(), "-o", "out"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;

  const auto rows = rows_of(sandbox / "out" / "training.csv");
  const nlohmann::json& golden = manifest.at("rows");
  ASSERT_EQ(rows.size(), golden.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const nlohmann::json& row = golden[i];
    EXPECT_EQ(rows[i][0], row.at("step").get<double>());
    EXPECT_NEAR(rows[i][1], row.at("loss").get<double>(), 2e-5 * row.at("loss").get<double>());
    EXPECT_NEAR(rows[i][2], row.at("gradient_norm").get<double>(), 1e-4 * row.at("gradient_norm").get<double>());
    EXPECT_NEAR(rows[i][3], row.at("learning_rate").get<double>(), 1e-6 * row.at("learning_rate").get<double>());
    EXPECT_EQ(rows[i][4], row.at("tokens").get<double>());
  }
  const fs::path weights = sandbox / "out" / "checkpoint" / "model.safetensors";
  for (const auto& [name, tensor] : manifest.at("tensors").items()) {
    const double tolerance = 2e-3 * tensor.at("moved").get<double>();
    expect_near_golden(read_floats(weights, name), fs::path(GetParam()).replace_extension(".safetensors"), name,
                       tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenTraces, testing::ValuesIn(every_file()), case_name);

}  // namespace
}  // namespace attnlab::program_test

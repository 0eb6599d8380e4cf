// The JSON Schema that editors use is the one that the program writes, and what it refuses `validate` refuses too.
#include <regex>

#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const fs::path kSource = ATTNLAB_SOURCE_DIR;

TEST(Schema, OfTheRepositoryIsWhatTheProgramWrites) {
  const Sandbox sandbox;
  const Outcome outcome = sandbox.run({"schema"});
  expect_well(outcome);
  EXPECT_TRUE(outcome.out == read_file(kSource / "configs/experiment.schema.json"))
      << "write it anew: attnlab schema > configs/experiment.schema.json";
}

std::vector<std::string> wrong_experiments() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kSource / "tests/schema/wrong"))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Schema, IsHeldAgainstThirtyWrongExperiments) {
  EXPECT_GE(wrong_experiments().size(), 30U);
}

class EveryWrongExperiment : public testing::TestWithParam<std::string> {};

TEST_P(EveryWrongExperiment, IsRefusedByValidateWithItsPlace) {
  const Sandbox sandbox;
  const std::string file = (kSource / "tests/schema/wrong" / (GetParam() + ".yaml")).string();
  const Outcome outcome = sandbox.run({"validate", file});
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  const std::vector<std::string> lines = lines_of(outcome.err);
  ASSERT_FALSE(lines.empty());
  for (const std::string& line : lines) {
    ASSERT_TRUE(line.starts_with("attnlab: " + file + ":")) << line;
    EXPECT_TRUE(std::regex_search(line.substr(9 + file.size()), std::regex("^:[0-9]+:[0-9]+: ."))) << line;
  }
}

INSTANTIATE_TEST_SUITE_P(, EveryWrongExperiment, testing::ValuesIn(wrong_experiments()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace attnlab::program_test

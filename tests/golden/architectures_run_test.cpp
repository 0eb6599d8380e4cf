// Every architecture of the fixtures in an experiment: as it is, with a policy of eviction and with quantised rows.
#include "golden/golden_tensors.h"

namespace attnlab::program_test {
namespace {

std::vector<fs::path> every_architecture() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kOwnFixtures / "architectures"))
    if (entry.is_directory()) folders.push_back(entry.path());
  std::sort(folders.begin(), folders.end());
  return folders;
}

class EveryArchitecture : public testing::TestWithParam<fs::path> {};

TEST_P(EveryArchitecture, RunsInAnExperiment) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", "name: architectures\nmodel: " + GetParam().string() +
                                  "\nrepeats: 1\nwarmup: 0\ninterleave: false\n"
                                  "arms:\n"
                                  "  list:\n"
                                  "    - {name: own, cache: full}\n"
                                  "    - {name: h2o, cache: {h2o: {heavy: 4, recent: 4}}}\n"
                                  "    - {name: int8, cache: {full: {storage: int8}}}\n"
                                  "workloads:\n"
                                  "  - speed: {batch: [q4s12]}\n");
  const Outcome outcome = sandbox.run({"run", "study.yaml", "-o", "results"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  const std::vector<std::string> rows = lines_of(read_file(sandbox / "results/summary.csv"));
  EXPECT_GE(rows.size(), 4U);
  for (const std::string& row : rows)
    for (const char* status : {",refused", ",failed", ",wrong", ",timed_out"})
      EXPECT_EQ(row.find(status), std::string::npos) << row;
  const nlohmann::json model =
      nlohmann::json::parse(read_file(sandbox / "results/environment.json")).at("study").at("model");
  EXPECT_GT(model.at("parameters").get<std::int64_t>(), 0);
}

INSTANTIATE_TEST_SUITE_P(, EveryArchitecture, testing::ValuesIn(every_architecture()),
                         [](const auto& of) { return test_name(of.param.filename().string()); });

}  // namespace
}  // namespace attnlab::program_test

// Figures for a paper from the command line, and sweeps and anchors of a YAML as a user writes them.
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

TEST(Figures, AreWrittenFromAResultsFolder) {
  const Sandbox sandbox;
  sandbox.write("study.yaml", Experiment{.arms = "[{attention: gqa}, {attention: mqa}]"}.yaml());
  expect_well(sandbox.run({"run", "study.yaml", "-o", "out"}));
  const Outcome outcome = sandbox.run({"report", "out", "--figures", "paper"});
  expect_well(outcome);
  std::size_t pdfs = 0;
  for (const std::string& line : lines_of(outcome.out)) {
    EXPECT_TRUE(fs::is_regular_file(sandbox / line)) << line;
    if (!line.ends_with(".pdf")) continue;
    ++pdfs;
    EXPECT_TRUE(read_file(sandbox / line).starts_with("%PDF-")) << line;
    EXPECT_TRUE(read_file(sandbox / (line.substr(0, line.size() - 3) + "svg")).starts_with("<svg ")) << line;
  }
  EXPECT_GT(pdfs, 0U);
  expect_mentions(read_file(sandbox / "paper/table.tex"), {"\\begin{tabular}", "\\toprule", "\\bottomrule"});
  expect_mentions(read_file(sandbox / "paper/table_alone.tex"), {"\\usepackage{booktabs}", "\\input{table}"});
  expect_refused(sandbox, {"report", "out", "--figures", "study.yaml"}, {"study.yaml"});
  expect_refused(sandbox, {"report", "nowhere", "--figures", "paper"}, {"nowhere"});
  expect_refused(sandbox, {"report", "--index", ".", "--figures", "paper"}, {"--figures"});
}

TEST(Sweeps, AndAnchorsArePlannedAsWritten) {
  const Sandbox sandbox;
  sandbox.write("study.yaml",
                "name: sweeps\nmodel: {constructed: recall}\nx-small: &small {window: 8}\narms:\n  grid:\n"
                "    cache: [full, {window: *small}, {h2o: {zip: {heavy: [8, 16], recent: [24, 16]}}}]\n"
                "workloads: [{recall: {length: 64, pairs: 4, examples: 1}}]\n");
  const Outcome planned = sandbox.run({"validate", "study.yaml"});
  expect_well(planned);
  expect_mentions(planned.out, {"4 arms", "h2o(heavy=8,recent=24)", "h2o(heavy=16,recent=16)"});
}

}  // namespace
}  // namespace attnlab::program_test

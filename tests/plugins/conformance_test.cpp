// `attnlab check`: every law can fail. Each plugin of broken/law_*.cpp breaks one on purpose (others may break with
// it); the kit has to name that law, say what it measured and where, and end with 1. The built-in ones keep all.
#include "golden/program.h"

namespace attnlab::program_test {
namespace {

struct Crime {
  std::string plugin;  // file of broken/
  std::string law;
  std::vector<std::string> mentions;  // in the law's line
  std::size_t components = 1;         // of the plugin, each of which breaks the law
  friend std::ostream& operator<<(std::ostream& stream, const Crime& crime) { return stream << crime.plugin; }
};

std::vector<Crime> every_crime() {
  return {
      {"law_alone", "can be made and run", {"goes together with none", "(alone)"}},
      {"bad_factory", "can be made and run", {"does not hold: ", "(gqa/"}, 4},
      {"law_unbounded_option", "options out of bounds are refused", {"\"strength\"", "no bounds"}},
      {"law_nan", "numbers are finite", {"NaN or Inf at token 80", "(nan/"}},
      {"law_nan_scores", "numbers are finite", {"NaN or Inf at token 81", "/nan_scores/"}},
      {"law_other_rows",
       "agrees with a slow reference",
       {"inf of 2e-05", "rows of layer 0", "the row at position 10 of sequence 0 has another value than was appended",
        "/none/other_rows)"}},
      {"law_tile_dependent", "self-consistent", {" of 2e-05", "own position bias", "/tile_dependent/"}},
      {"law_stale_rotation", "cached = uncached", {" of 0.0001", "/stale_rotation/"}},
      {"law_chunk_dependent", "prompt in pieces = at once", {"pieces of 1", " of 0.0001", "chunk_dependent/"}},
      {"law_batch_dependent", "batch mix changes nothing", {" of 3", " of 0.0001", "batch_dependent/"}},
      {"law_order_dependent", "order of sequences changes nothing", {" of 0.0001", "order_dependent/"}},
      {"law_thread_dependent", "threads change no bit", {"where nothing may differ", " threads", "/thread_dependent/"}},
      {"law_unrepeatable", "repeats itself to the bit", {"where nothing may differ", "unrepeatable/"}},
      {"law_acausal", "causal", {" of 1e-06", "acausal/"}},
      {"law_over_budget", "budget is kept", {"rows after the prompt, budget", "/over_budget)"}},
      {"law_wrong_limit", "budget is kept", {"rows after the prompt, row_limit says", "at most", "/wrong_limit)"}},
      {"law_grows_in_decode",
       "budget is kept",
       {"rows after step 1, budget", "has to provide evicts_after_prompt_only"}},
      {"law_lossy", "budget of 100 % = full", {"where nothing may differ", "the same tiles", "/lossy)"}},
      {"law_wrong_bytes", "bytes reported = bytes allocated", {"bytes reported", "allocated", "/wrong_bytes)"}},
      {"law_spare_bytes", "bytes reported = bytes allocated", {"for 479 rows more,", "reported", "/spare_bytes)"}},
      {"law_keeps_after_clear", "clear goes back to the start", {"where nothing may differ", "/keeps_after_clear)"}},
      {"law_unsaved_scores",
       "save and restore go on identically",
       {"where nothing may differ", "saved in the middle of the prompt", "restored into a new cache"}},
      {"law_half_state", "save and restore go on identically", {"layer 0 reads less of its state than it wrote"}},
      {"law_without_state", "save and restore go on identically", {"does not say what its state is", "write save"}},
      {"law_short_fork",
       "forks and rollbacks leave no trace",
       {"where nothing may differ", "a fork whose original went another way", "/short_fork)"}},
      {"law_leaky", "nothing leaks", {"bytes more after 10 runs", "/leaky)"}},
      {"law_wrong_mass", "mass sums to queries x group", {" of 0.0001", "wrong_mass/"}},
      {"law_mass_changes_output", "mass sums to queries x group", {"output changed", "mass_changes_output/"}},
      {"law_evicts_in_decode",
       "declared traits are true",
       {"provides evicts_after_prompt_only, but drops rows in decode"}},
      {"law_false_traits", "declared traits are true", {"false_"}, 4},
      {"law_false_pairs", "declared traits are true", {" of 1e-05", "pairs() says turned pairs", "/false_pairs/"}},
      {"law_false_window", "declared traits are true", {"visible_window says", "tokens back", "_window/"}, 2},
      {"law_wrong_gradient", "gradients = differences", {" of 1", "self_attn.", "/wrong_gradient/"}},
      {"law_rough_storage", "rows read back within their error", {"of the declared error", "rough"}},
      {"law_cut_storage", "any cut reads the same bits", {"in pieces of", "cut"}},
      {"law_counting_storage", "other rows change nothing", {"appended in pieces", "counting"}},
      {"law_narrow_storage", "wrong sizes are refused", {"rows of 1 numbers", "narrow"}},
  };
}

std::vector<std::string> failures_of(const Outcome& outcome, const std::string& law) {
  std::vector<std::string> found;
  const std::string start = "  FAIL  " + law + " ";
  for (const std::string& line : lines_of(outcome.out))
    if (line.starts_with(start)) found.push_back(line);
  return found;
}

class EveryBrokenLaw : public testing::TestWithParam<Crime> {
 protected:
  Sandbox sandbox_;
};

TEST_P(EveryBrokenLaw, IsNamedWithWhatWasMeasuredAndWhere) {
  const Crime& crime = GetParam();
  const fs::path file = fs::path(ATTNLAB_BINARY_DIR) / "tests" / "plugins" / crime.plugin / (crime.plugin + ".so");
  ASSERT_TRUE(fs::exists(file)) << file;
  const Outcome outcome = sandbox_.run({"check", file.string()});
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  const std::vector<std::string> failures = failures_of(outcome, crime.law);
  EXPECT_EQ(failures.size(), crime.components) << outcome;
  for (const std::string& line : failures) expect_mentions(line, crime.mentions);
  expect_mentions(outcome.out, {std::to_string(crime.components) + " component"});
}

INSTANTIATE_TEST_SUITE_P(, EveryBrokenLaw, testing::ValuesIn(every_crime()),
                         [](const auto& test) { return test.param.plugin; });

TEST(FalseTraits, AreNamedInEveryKind) {
  const Sandbox sandbox;
  const fs::path file = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/law_false_traits/law_false_traits.so";
  const Outcome outcome = sandbox.run({"check", file.string()});
  expect_mentions(outcome.out,
                  {"single_kv_head, but has 2", "score_bias is not what it does", "mass_based is not what it does",
                   "provides rounded_rows, but rows come back as they were"});
}

// What only a plugin knows, the kit cannot call wrong; it must not call it right either.
TEST(AFormulaOfAPlugin, IsHeldAgainstItselfAndTheLineSaysSo) {
  const Sandbox sandbox;
  const fs::path file = fs::path(ATTNLAB_BINARY_DIR) / "tests/plugins/wrong_slope/wrong_slope.so";
  for (const std::string& scheme : {file.string(), std::string("alibi")}) {
    const Outcome outcome = sandbox.run({"check", scheme});
    expect_well(outcome);
    expect_mentions(outcome.out, {"  -     agrees with a slow reference", "  ok    self-consistent",
                                  "with the plugins' own position bias"});
  }
  const Outcome known = sandbox.run({"check", "none"});
  expect_well(known);
  expect_mentions(known.out, {"  ok    agrees with a slow reference", "attend, gated_project, project, rows"});
}

TEST(LawsOfTheKit, AreKeptByBuiltInPlugins) {
  const Sandbox sandbox;
  const Outcome outcome = sandbox.run({"check", "gqa", "rope", "full", "int4", "kivi", "hadamard"});
  expect_well(outcome);
  EXPECT_EQ(outcome.out.find("FAIL"), std::string::npos) << outcome.out;
  expect_mentions(outcome.out, {"attention gqa", "position rope", "cache full", "storage int4", "storage kivi",
                                "6 components checked, 0 laws broken"});
  // Every law is tried on at least one of the four kinds, but for the laws of options and budgets.
  for (const Crime& crime : every_crime()) expect_mentions(outcome.out, {crime.law});
}

TEST(Check, RefusesANameThatNobodyHasWithTheNearest) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"check", "no_such"}, {"unknown component", "\"no_such\""});
  expect_refused(sandbox, {"check", "ropes"}, {"unknown component", "\"ropes\"", "rope"});
}

TEST(Check, RefusesAFileThatIsNoPlugin) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"check", "./missing.so"}, {"missing.so"});
}

}  // namespace
}  // namespace attnlab::program_test

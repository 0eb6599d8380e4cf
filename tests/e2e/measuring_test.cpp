// What is measured is the arm that was asked for: a quality that never met the smaller cache is no verdict on it, and
// every policy runs on every storage in every workload with the contexts of that workload.
#include <algorithm>
#include <regex>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "e2e/experiments.h"
#include "reference/plugins.h"
#include "rows/row_storage.h"

namespace attnlab::program_test {
namespace {

const fs::path kBughunt = fs::path(ATTNLAB_TEST_DATA_DIR) / "bughunt";
const std::string kUnread = "no token read the compressed cache";

std::string text_of(int characters) {
  std::string text;
  for (int i = 0; static_cast<int>(text.size()) < characters; ++i)
    text += fmt::format("Line {} of a text that says {} things. ", i, i * 7 % 13);
  text.resize(characters);
  return text;
}

std::vector<nlohmann::json> trials_of(const fs::path& results) {
  std::vector<nlohmann::json> trials;
  for (const auto& entry : fs::directory_iterator(results / "trials"))
    if (entry.path().extension() == ".json") trials.push_back(nlohmann::json::parse(read_file(entry.path())));
  return trials;
}

void expect_all_ok(const fs::path& results) {
  const CsvTable summary = summary_of(results);
  EXPECT_GT(summary.rows(), 0U);
  for (std::size_t row = 0; row < summary.rows(); ++row)
    EXPECT_EQ(summary.at(row, "status"), "ok") << summary.at(row, "arm") << ", " << summary.at(row, "workload");
}

class Prefill : public testing::Test {
 protected:
  void write(const std::string& arms, const std::string& workloads, const std::string& model = kTinyModel) const {
    sandbox_.write("text.txt", text_of(500));
    sandbox_.write("study.yaml", Experiment{.model = model, .arms = arms, .workloads = workloads}.yaml());
  }
  Outcome run(std::vector<std::string> more = {}) const {
    std::vector<std::string> command{"run", "study.yaml", "-o", "out"};
    command.insert(command.end(), more.begin(), more.end());
    return sandbox_.run(command);
  }
  Sandbox sandbox_;
};

// Eviction, rounding when rows come, codes after the prompt, and reading only some rows: none may be left to a default.
TEST_F(Prefill, IsHeldAgainstARoofThatWasMeasuredBesideIt) {
  write("{grid: {attention: [gqa, mqa]}}", "[{speed: {batch: [q64]}}]");
  expect_well(run({"--set", "repeats=1", "--set", "warmup=0"}));
  const CsvTable summary = summary_of(sandbox_ / "out");
  for (const nlohmann::json& trial : trials_of(sandbox_ / "out")) {
    const double peak = trial.at("details").at("roof").at("fma_flops_per_second");
    EXPECT_GT(peak, 0);
    double rate = 0;
    for (const nlohmann::json& sample : trial.at("samples"))
      if (sample.at("metric") == "operations_per_second") rate = sample.at("value");
    const std::string arm = trial.at("arm");
    const std::vector<std::size_t> rows = summary.where({{"arm", arm}, {"metric", "share_of_fma_peak"}});
    ASSERT_EQ(rows.size(), 1U) << arm;
    EXPECT_NEAR(std::stod(summary.at(rows[0], "median")), rate / peak, 1e-9 * rate / peak) << arm;
  }
}

TEST_F(Prefill, HasToBeWrittenWhereAnyArmMayDropRoundOrSkipRows) {
  const std::string workload = "[{perplexity: {text: text.txt, context: 64}}]";
  for (const auto& [cache, what] : std::vector<std::pair<std::string, std::string>>{
           {"{h2o: {heavy: 4, recent: 4}}", "cache \"h2o\" may drop rows"},
           {"{window: {window: 8}}", "cache \"window\" may drop rows"},
           {"{quest: {page: 4, budget: 8, dense_layers: 0}}", "cache \"quest\""},
           {"{full: {storage: bf16}}", "storage \"bf16\" rounds rows"},
           {"{full: {storage: {k: f32, v: int4}}}", "storage \"k:f32,v:int4\" rounds rows"},
           {"{full: {storage: {kivi: {bits: 4}}}}", "storage \"kivi:4\" rounds rows"},
           {"{full: {}, layers: {1: {knorm: {budget: 8}}}}", "cache \"knorm\" may drop rows"}}) {
    write("[{cache: full}, {name: small, cache: " + cache + "}]", workload);
    for (const char* command : {"run", "validate"})
      expect_refused(sandbox_, {command, "study.yaml"},
                     {"study.yaml:5:", "\"prefill\" is missing", "arm \"small\"", what, "prefill: 32", "prefill: all"});
  }
  write("[{cache: full}, {cache: {full: {storage: {k: f32, v: f32, page: 4}}}}, {attention: {gqa: {window: 8}}}]",
        workload);
  expect_well(run());
  EXPECT_EQ(summary_of(sandbox_ / "out").distinct("case"), std::vector<std::string>{"text_context64"});
}

TEST_F(Prefill, ThatIsNeitherTokensNorAllIsRefused) {
  for (const auto& [prefill, part] : std::vector<std::pair<std::string, std::string>>{
           {"most", "expected a number of tokens"}, {"0", "0 is outside 1.."}, {"65", "more than the context of 64"}}) {
    write("[{cache: full}]", "[{perplexity: {text: text.txt, context: 64, prefill: " + prefill + "}}]");
    expect_refused(sandbox_, {"validate", "study.yaml"}, {"study.yaml:5:", "prefill", part});
  }
  write("[{cache: full}]", "[{recall: {length: 64, pairs: 4, examples: 2, vocab: 64, prefill: 65}}]");
  expect_refused(sandbox_, {"validate", "study.yaml"}, {"study.yaml:5:", "more than the length of 64"});
}

TEST_F(Prefill, OfAllIsSaidInEveryOutputAndHasNoVerdict) {
  write("[{name: full}, {name: h2o, cache: {h2o: {heavy: 4, recent: 4}}}, {name: mqa, attention: mqa}]",
        "[{speed: {batch: [2q1s64]}}, {perplexity: {text: text.txt, context: 64, prefill: 32}}, "
        "{perplexity: {text: text.txt, context: 64, prefill: all}}]");
  const Outcome outcome = run();
  expect_well(outcome);
  const std::string sentence = "No verdict on h2o in perplexity text_context64_prefill_all (prompts alone): " + kUnread;
  expect_mentions(outcome.out, {sentence, "no verdict: " + kUnread, "tokens scored"});
  expect_mentions(read_file(sandbox_ / "out/report.md"),
                  {kUnread, "perplexity text_context64_prefill32 (after the prompt)", "tokens scored"});
  expect_mentions(read_file(sandbox_ / "out/report.html"), {kUnread, "\"no_verdict\"", "(prompts alone)"});

  const CsvTable summary = summary_of(sandbox_ / "out");
  const auto ratios = [&](const std::string& arm, const std::string& label) {
    int compared = 0;
    for (const std::size_t row : summary.where({{"arm", arm}, {"case", label}}))
      compared += summary.at(row, "baseline_ratio").empty() ? 0 : 1;
    return compared;
  };
  EXPECT_EQ(ratios("h2o", "text_context64_prefill_all"), 0) << "bytes included";
  EXPECT_GT(ratios("mqa", "text_context64_prefill_all"), 3) << "whose rows stay as they are";
  EXPECT_GT(ratios("h2o", "text_context64_prefill32"), 3);

  for (const nlohmann::json& trial : trials_of(sandbox_ / "out")) {
    const bool is_unread = trial.at("arm") == "h2o" && trial.at("case") == "text_context64_prefill_all";
    EXPECT_EQ(trial.at("details").contains("no_verdict"), is_unread) << trial.at("arm") << trial.at("case");
  }
  // 500 bytes in windows of 63 and BOS: 7 whole ones and one of 59 bytes.
  const auto scored = [&](const std::string& label) {
    return summary.at(summary.where({{"arm", "h2o"}, {"case", label}, {"metric", "tokens_scored"}}).at(0), "median");
  };
  EXPECT_EQ(std::stod(scored("text_context64_prefill_all")), 500);
  EXPECT_EQ(std::stod(scored("text_context64_prefill32")), 7 * 32 + 60 - 32);
}

TEST_F(Prefill, OfAllHasNoPlaceInTradeOffs) {
  write("[{name: full}, {name: h2o, cache: {h2o: {heavy: 4, recent: 4}}}]",
        "[{perplexity: {text: text.txt, context: 64, prefill: all}}]");
  expect_well(run());
  const std::string page = read_file(sandbox_ / "out/report.html");
  EXPECT_NE(page.find("\"tradeoffs\":[]"), std::string::npos);
  write("[{name: full}, {name: h2o, cache: {h2o: {heavy: 4, recent: 4}}}]",
        "[{perplexity: {text: text.txt, context: 64, prefill: 32}}]");
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "read"}));
  EXPECT_EQ(read_file(sandbox_ / "read/report.html").find("\"tradeoffs\":[]"), std::string::npos);
}

// One token after the prompt is predicted by the prompt itself.
TEST_F(Prefill, ThatLeavesOneTokenIsNoVerdictEither) {
  write("[{name: full}, {name: h2o, cache: {h2o: {heavy: 4, recent: 4}}}]",
        "[{perplexity: {text: text.txt, context: 64, prefill: 63}}, {perplexity: {text: text.txt, context: 64, "
        "prefill: 62}}]");
  expect_well(run());
  for (const nlohmann::json& trial : trials_of(sandbox_ / "out"))
    EXPECT_EQ(trial.at("details").contains("no_verdict"),
              trial.at("arm") == "h2o" && trial.at("case") == "text_context64_prefill63");
}

TEST_F(Prefill, OfRecallIsThePairsOrWhatIsWritten) {
  write(
      "[{name: full}, {name: small, cache: {knorm: {budget: 8}}}, {name: window, cache: {window: {window: 16}}}, "
      "{name: large, cache: {window: {window: 64}}}]",
      "[{recall: {length: 64, pairs: 8, examples: 12, prefill: all}}, {recall: {length: 64, pairs: 8, examples: 12}}]",
      "{constructed: recall}");
  const Outcome outcome = run();
  expect_well(outcome);
  expect_mentions(outcome.out, {"No verdict on small, window, large in recall length64_pairs8_examples12_prefill_all",
                                "evicted nothing"});
  const CsvTable summary = summary_of(sandbox_ / "out");
  const auto at = [&](const std::string& arm, const std::string& label, const std::string& column) {
    return summary.at(summary.where({{"arm", arm}, {"case", label}, {"metric", "recall_accuracy"}}).at(0), column);
  };
  const std::string whole = "length64_pairs8_examples12_prefill_all", fed = "length64_pairs8_examples12";
  EXPECT_EQ(std::stod(at("small", whole, "median")), 1) << "answered before anything was dropped";
  EXPECT_LT(std::stod(at("small", fed, "median")), 1);
  EXPECT_EQ(at("small", whole, "baseline_ratio"), "");
  // Over examples, and paired by them.
  for (const char* column : {"ci_low", "ci_high", "ratio_low", "ratio_high"}) EXPECT_NE(at("small", fed, column), "");
  EXPECT_LT(std::stod(at("full", fed, "ci_low")), 1) << "twelve examples prove no certainty";
  EXPECT_EQ(std::stod(at("full", fed, "ci_high")), 1);
  for (const nlohmann::json& trial : trials_of(sandbox_ / "out"))
    if (trial.at("arm") == "window") {
      EXPECT_EQ(trial.at("details").at("unlike_prediction"), 0) << trial.at("case");
    }
}

TEST_F(Prefill, OfRecallLeavesOutTheQueriesInIt) {
  write("[{name: full}]", "[{recall: {length: 64, pairs: 8, examples: 12, prefill: 24}}]", "{constructed: recall}");
  expect_well(run());
  const nlohmann::json details = trials_of(sandbox_ / "out").at(0).at("details");
  EXPECT_LT(details.at("queries").get<int>(), 12 * 8);
  EXPECT_EQ(details.at("answered"), details.at("queries"));
}

TEST_F(Prefill, OfGenerateAndLogitsIsSaidOnStderr) {
  const auto note = [&](std::vector<std::string> command, const std::string& cache) {
    command.insert(command.end(), {"--prompt", "a prompt of a few bytes", "--cache", cache});
    const Outcome outcome = sandbox_.run(command);
    expect_well(outcome);
    return outcome.err;
  };
  const std::vector<std::string> logits{"logits", kTinyModel, "-o", "out.safetensors"};
  EXPECT_EQ(note(logits, "full"), "");
  expect_mentions(note(logits, "{h2o: {heavy: 4, recent: 4}}"), {"attnlab: note: cache \"h2o\"", kUnread});
  expect_mentions(note({"logits", kTinyModel, "-o", "out.safetensors", "--chunk", "1"}, "{knorm: {budget: 8}}"),
                  {"attnlab: note: ", kUnread});
  expect_mentions(note(logits, "{full: {storage: {kivi: {bits: 2}}}}"), {"attnlab: note: storage \"kivi:2\"", kUnread});
  // Here the prompt itself reads what the cache makes of its rows.
  for (const char* cache : {"{window: {window: 8}}", "{full: {storage: int8}}"})
    expect_mentions(note(logits, cache), {"attnlab: note: ", "from token 1 on"});
  const auto generate = [](const char* tokens) {
    return std::vector<std::string>{"generate", kTinyModel, "-n", tokens};
  };
  EXPECT_EQ(note(generate("4"), "full"), "");
  expect_mentions(note(generate("4"), "{knorm: {budget: 8}}"), {"attnlab: note: ", "from token 2 of the continuation"});
  expect_mentions(note(generate("1"), "{knorm: {budget: 8}}"), {"attnlab: note: ", kUnread});
}

TEST(Bughunt, DefaultPrefillIsAskedForAndWithItTheLossShows) {
  const fs::path shared = fs::path(ATTNLAB_SHARED_DIR) / "fixtures";
  if (!fs::exists(shared / "models/stories260K")) GTEST_SKIP() << "no " << shared;
  const Sandbox sandbox;
  std::string yaml = read_file(kBughunt / "ppl-default-prefill/exp.yaml");
  yaml = std::regex_replace(yaml, std::regex(R"(\.\./\.\./fixtures)"), shared.string());
  sandbox.write("exp.yaml", yaml);
  expect_refused(sandbox, {"run", "exp.yaml", "-o", "out"}, {"exp.yaml:", "prefill", "cache \"h2o\"", "prefill: 256"});
  expect_well(sandbox.run({"run", "exp.yaml", "-o", "out", "--set", "workloads.0.perplexity.prefill=all"}));
  const CsvTable summary = summary_of(sandbox / "out");
  const auto ratio = [&](const std::string& cache, const std::string& label) {
    for (const std::size_t row : summary.where({{"case", label}, {"metric", "perplexity"}}))
      if (summary.at(row, "cache").find(cache) != std::string::npos) return summary.at(row, "baseline_ratio");
    return std::string("no row");
  };
  for (const char* cache : {"h2o", "snapkv", "knorm"}) EXPECT_EQ(ratio(cache, "eval_context512_prefill_all"), "");
  EXPECT_NEAR(std::stod(ratio("knorm", "eval_context512_prefill64")), 9.9, 0.1);
}

TEST(Bughunt, SharesAreOfTheContextOfTheWorkload) {
  const Sandbox sandbox;
  const std::string file = kBughunt / "share-budget-fails/exp.yaml";
  expect_well(sandbox.run({"validate", file}));
  expect_well(sandbox.run({"run", file, "-o", "out"}));
  expect_all_ok(sandbox / "out");
  EXPECT_EQ(summary_of(sandbox / "out").distinct("arm").size(), 6U);
}

TEST(Bughunt, ExpectedAttentionIsShownQueriesWhereverACacheIsFilled) {
  const Sandbox sandbox;
  const std::string file = kBughunt / "expected-attention-aborts/exp.yaml";
  expect_well(sandbox.run({"run", file, "-o", "out"}));
  expect_all_ok(sandbox / "out");
  expect_well(sandbox.run(
      {"run", file, "-o", "prompt", "--set", "workloads=[speed: {prompt: 300, generate: 4}]", "--set", "repeats=1"}));
  expect_all_ok(sandbox / "prompt");
}

// What cannot be is said by validate, by its name and with the context that is too short, not found in a trial.
TEST(Shares, ThatAreTooFewRowsForAContextAreRefusedInPlanning) {
  const Sandbox sandbox;
  const std::string small = "{snapkv: {budget: 0.25, window: 32}}";
  const std::string workloads = "[{speed: {batch: [q1s1k, q1s100]}}]";
  sandbox.write(
      "list.yaml",
      Experiment{.arms = "[{cache: full}, {name: small, cache: " + small + "}]", .workloads = workloads}.yaml());
  expect_well(sandbox.run({"run", "list.yaml", "-o", "out"}));
  const CsvTable summary = summary_of(sandbox / "out");
  int refused = 0;
  for (std::size_t row = 0; row < summary.rows(); ++row)
    if (summary.at(row, "status") != "ok") {
      ++refused;
      expect_mentions(summary.at(row, "status"), {"refused: ", "context of 100"});
    }
  EXPECT_EQ(refused, 1);
  for (const char* command : {"validate", "run"})
    expect_refused(sandbox, {command, "list.yaml", "--set", "workloads.0.speed.batch=[q1s100]"},
                   {"list.yaml:4:", "small", "context of 100", "q1s100"});
}

// Every policy of the build on every storage, each with options that have something to do in a context of 256.
struct Cell {
  std::string id, yaml, storage;
  bool must_be_refused = false;
};

std::vector<Cell> every_cell() {
  const std::vector<std::pair<std::string, Rounding>> storages{
      {"f32", Rounding::none},
      {"bf16", Rounding::when_appended},
      {"int8", Rounding::when_appended},
      {"int4", Rounding::when_appended},
      {"{hadamard: {bits: 3, group: 8}}", Rounding::when_appended},
      {"{kivi: {bits: 4, residual: 32}}", Rounding::after_prompt}};
  const Registry& registry = reference::plugins();
  std::vector<Cell> cells;
  for (const std::string& id : registry.ids(Kind::cache)) {
    const Descriptor& descriptor = *registry.find(Kind::cache, id);
    std::vector<std::string> options;
    const auto budgets = std::ranges::count(descriptor.options, OptionType::budget, &OptionSpec::type);
    for (const OptionSpec& option : descriptor.options) {
      if (option.type == OptionType::budget)
        options.push_back(fmt::format("{}: {}", option.name, budgets > 1 ? "0.125" : "0.25"));
      else if (budgets == 0 && option.name == "window")
        options.push_back("window: 60");
    }
    for (const auto& [storage, when] : storages) {
      std::vector<std::string> all = options;
      all.push_back("storage: " + storage);
      const Traits traits = registry.traits(descriptor, {});
      const bool drops = when == Rounding::after_prompt && traits.provides.has(Feature::token_eviction);
      const bool replaces = when != Rounding::none && traits.excludes.has(Feature::fixed_rows);
      cells.push_back({id, fmt::format("{{{}: {{{}}}}}", id, fmt::join(all, ", ")), storage, drops || replaces});
    }
  }
  return cells;
}

TEST(EveryPolicy, RunsOnEveryStorageInEveryWorkloadOrIsRefusedWithAReason) {
  const Sandbox sandbox;
  const std::vector<Cell> cells = every_cell();
  std::vector<std::string> axis;
  for (const Cell& cell : cells) axis.push_back(cell.yaml);
  sandbox.write("text.txt", text_of(250));
  sandbox.write("study.yaml", Experiment{.arms = fmt::format("{{grid: {{cache: [{}]}}}}", fmt::join(axis, ", ")),
                                         .workloads = "[{speed: {batch: [q1s256, q200s256]}}, "
                                                      "{perplexity: {text: text.txt, context: 256, prefill: 192}}, "
                                                      "{recall: {length: 256, pairs: 16, examples: 1, vocab: 256}}, "
                                                      "{generate: {prompt: \"" +
                                                      text_of(240) + "\", tokens: 16}}]",
                                         .more = "warmup: 0"}
                                  .yaml());
  const Outcome outcome = sandbox.run({"run", "study.yaml", "-o", "out"});
  expect_well(outcome);
  const CsvTable summary = summary_of(sandbox / "out");
  const std::vector<std::string> arms = summary.distinct("arm");
  ASSERT_EQ(arms.size(), cells.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    SCOPED_TRACE(cells[i].yaml);
    std::set<std::string> workloads;
    for (const std::size_t row : summary.where({{"arm", arms[i]}})) {
      const std::string& status = summary.at(row, "status");
      if (cells[i].must_be_refused) {
        EXPECT_TRUE(status.starts_with("refused: ")) << status;
        expect_mentions(status, {cells[i].id, "storage", "use "});
      } else {
        EXPECT_EQ(status, "ok");
        workloads.insert(summary.at(row, "workload"));
      }
    }
    EXPECT_EQ(workloads.size(), cells[i].must_be_refused ? 0U : 4U);
  }
}

}  // namespace
}  // namespace attnlab::program_test

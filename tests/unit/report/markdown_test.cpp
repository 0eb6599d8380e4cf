// The report must say what must not be overlooked, must survive every name, and must rebuild from the folder alone.
#include "report/pages/markdown.h"

#include <gtest/gtest.h>

#include <cmath>

#include <attnlab/error.h>

#include "report/pages/report_json.h"
#include "report/pages/results_folder.h"
#include "report/pages/terminal_table.h"
#include "report/read/format.h"
#include "report/read/run_search.h"
#include "unit/report_samples.h"

namespace attnlab::report::test {
namespace {

namespace fs = std::filesystem;
using ::testing::Test;

const ArmLayout kMha = arm("mha");
const ArmLayout kSink = arm("mha", "sink");

Results results_of(const StudyLayout& study, const std::vector<TrialResult>& trials) {
  Results results;
  results.environment = {{"cpu", "Test CPU"}, {"threads", 2}, {"study", study}};
  results.trials = trials;
  results.layout = completed(study, trials);
  results.summary = summarise(results.layout, trials);
  return results;
}

std::vector<TrialResult> seven_rounds() {
  std::vector<TrialResult> trials;
  for (int round = 0; round < 7; ++round) {
    trials.push_back(trial(kMha, round, {prefill(12300 + 10 * round), kv_bytes(64 << 20)}));
    trials.push_back(trial(kSink, round, {prefill(16100 + 20 * round), kv_bytes(16 << 20)}));
  }
  return trials;
}

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << "\n--- is not in ---\n" << text;
}

void expect_has_not(const std::string& text, const std::string& part) {
  EXPECT_EQ(text.find(part), std::string::npos) << part << "\n--- is in ---\n" << text;
}

TEST(ReportMarkdown, ShowsTheQuestionAndMediansWithIntervalsAndRatios) {
  const std::string report = report_markdown(results_of(layout({kMha, kSink}), seven_rounds()));
  expect_has(report, "# kv-heads\n\nWhat do fewer heads buy?\n");
  expect_has(report,
             "### speed q512\n\n| arm | prefill tokens/s ↑ | KV cache ↓ | notes |\n| --- | --- | --- | --- |\n");
  expect_has(report, "| mha/full | 12.3 k [12.3 k, 12.4 k] | 64.0 MiB | baseline |\n");
  expect_has(report, "| mha/sink | 16.2 k [16.1 k, 16.2 k], **1.311 ×** [1.3");
  expect_has(report, "| CPU | Test CPU |");
  expect_has(report, "## Method");
}

TEST(ReportMarkdown, NamesModelAndTextsAndWarnsOfRandomWeights) {
  StudyLayout study = layout({kMha});
  study.model.path = "models/tiny.yaml";
  study.model.weights = "seed";
  study.model.architecture = "LlamaForCausalLM";
  study.model.shape = {{"num_hidden_layers", 2},   {"hidden_size", 64}, {"num_attention_heads", 4},
                       {"num_key_value_heads", 2}, {"head_dim", 16},    {"vocab_size", 256}};
  study.model.parameters = 123456;
  study.model.config_sha256 = "0123456789abcdef";
  study.model.weights_sha256 = "fedcba9876543210";
  study.cases = {{"perplexity", "sample_context64"}};
  study.cases[0].data = {{"text", "text/sample.txt"}, {"text_bytes", "5000"}, {"text_sha256", "abcdef0123456789"}};
  TrialResult text = trial(kMha, 0, {{"perplexity", "", "lower", 9, true}});
  text.workload = "perplexity";
  text.case_name = "sample_context64";
  text.details = {{"tokens", 126}, {"windows", {{"tokens", {63, 63}}}}, {"windows_begin_with_bos", true}};
  Results results = results_of(study, {text});
  const std::string model =
      "Model: models/tiny.yaml: LlamaForCausalLM, 2 layers, hidden 64, 4 heads (2 kv) of 16, vocabulary 256, 123 k "
      "parameters, random weights from a seed; sha256 of its config 0123456789ab, of its weights fedcba987654";
  const std::string words =
      "perplexity sample_context64: text text/sample.txt, 5000 bytes, sha256 abcdef012345; 126 tokens scored in 2 "
      "windows, each beginning with BOS";
  const std::string banner = "Random weights: speeds and bytes mean something, quality does not.";
  for (const std::string& output : {report_markdown(results), terminal_table(results)}) {
    expect_has(output, model);
    expect_has(output, words);
    expect_has(output, banner);
  }
  const nlohmann::ordered_json json = report_json(results);
  EXPECT_EQ(json.at("banner"), banner);
  EXPECT_EQ(json.at("inputs"), (std::vector<std::string>{model, words}));
  EXPECT_EQ(json.at("model").at("weights_sha256"), "fedcba9876543210");
  EXPECT_EQ(json.at("cases")[0].at("data").at("text_sha256"), "abcdef0123456789");
  results.layout.model.weights = "checkpoint";
  expect_has_not(report_markdown(results), "Random weights");
  EXPECT_EQ(report_json(results).at("banner"), "");
}

TEST(ReportMarkdown, MarksWhatTheMediansContradictAndShowsFurtherComparisons) {
  StudyLayout study = layout({kMha, kSink});
  study.compare_with = {kSink.name};
  Results results = results_of(study, seven_rounds());
  expect_has(report_markdown(results), "medians of paired ratios to the baseline mha/full");
  expect_has(report_markdown(results),
             "### Against mha/sink\n\n| arm | case | metric | median of paired ratios | interval |\n");
  expect_has(report_markdown(results), "| mha/full | speed q512 | prefill tokens/s ↑ | **0.763 ×** | [0.7");
  expect_has(terminal_table(results), "against mha/sink\n");
  expect_has_not(report_markdown(results), "†");
  EXPECT_EQ(report_json(results).at("comparisons").size(), 2u);
  for (SummaryRow& row : results.summary.rows)
    if (row.arm == kSink.name && row.metric == "prefill_tokens_per_second") row.is_unstable = true;
  for (const std::string& output : {report_markdown(results), terminal_table(results)}) {
    expect_has(output, "†");
    expect_has(output, "unstable: the quotient of the two medians lies outside the interval of the ratio");
  }
  expect_has(report_json(results).dump(), "\"unstable\":true");
}

TEST(ReportMarkdown, ShowsATextThatSeveralArmsWroteOnce) {
  std::vector<TrialResult> trials;
  for (const ArmLayout& one : {kMha, kSink, arm("gqa")})
    for (int round = 0; round < 3; ++round) {
      trials.push_back(trial(one, round, {prefill(5)}));
      trials.back().workload = "generate";
      trials.back().case_name = "tokens4";
      trials.back().details = {{"prompt", "Once"}, {"text", one.name == "gqa/full" ? " other" : " upon a time"}};
    }
  const Results results = results_of(layout({kMha, kSink, arm("gqa")}), trials);
  const std::string report = report_markdown(results);
  expect_has(report, "mha/full; mha/sink, generate tokens4:\n\n```text\nOnce upon a time\n```\n");
  expect_has(report, "gqa/full, generate tokens4:\n\n```text\nOnce other\n```\n");
  EXPECT_EQ(report.find("upon a time"), report.rfind("upon a time"));
  const nlohmann::ordered_json generated = report_json(results).at("generated");
  ASSERT_EQ(generated.size(), 2u);
  EXPECT_EQ(generated[0].at("arms"), (std::vector<std::string>{"mha/full", "mha/sink"}));
}

TEST(ReportMarkdown, SaysWhatCannotBeMarkedAndWhatAMarkMeans) {
  std::vector<TrialResult> trials = seven_rounds();
  expect_has(report_markdown(results_of(layout({kMha, kSink}), trials)), "A ratio in **bold** is more than chance");
  std::erase_if(trials, [](const TrialResult& trial) { return trial.round > 2; });
  const std::string report = report_markdown(results_of(layout({kMha, kSink}), trials));
  expect_has(report, "Nothing can be marked with 3 rounds, 6 would do: prefill tokens/s (speed q512).\n");
  expect_has(report,
             "- With 3 rounds no difference in prefill tokens/s can be marked, however large; 6 rounds would do.");
  expect_has_not(report, "**1.3");
}

TEST(ReportMarkdown, ShowsTheSpreadOverSeedsInATableOfItsOwn) {
  std::vector<TrialResult> trials = seven_rounds();
  expect_has_not(report_markdown(results_of(layout({kMha, kSink}), trials)), "Spread over seeds");
  for (TrialResult other : seven_rounds()) {
    other.seed = 2;
    other.samples[0].value *= 2;
    trials.push_back(other);
  }
  const std::string report = report_markdown(results_of(layout({kMha, kSink}), trials));
  expect_has(report, "## Spread over seeds\n");
  expect_has(report, "| mha/full | speed q512 | prefill tokens/s | 12.3 k | 18.5 k | 24.7 k |\n");
}

TEST(ReportMarkdown, SaysHowTheRunWentFromItsEnvironment) {
  StudyLayout study = layout({kMha, kSink});
  study.least_rounds = 5;
  study.most_rounds = 30;
  study.until = 0.02;
  study.stopped = "after 7 of at most 30 rounds: the widest interval is ± 1.9 %";
  Results results = results_of(study, seven_rounds());
  results.environment["warmup"] = {{"rounds", 2}, {"agreed", true}, {"difference", 0.012}, {"most", 3}};
  results.environment["rounds"] = {{{"round", 0},
                                    {"attempt", 1},
                                    {"other_cpu_share", 0.4},
                                    {"steal_share", 0.02},
                                    {"disturbed", true},
                                    {"repeated", true}},
                                   {{"round", 0},
                                    {"attempt", 2},
                                    {"other_cpu_share", 0.01},
                                    {"steal_share", 0.0},
                                    {"disturbed", false},
                                    {"repeated", false}}};
  const std::string report = report_markdown(results);
  expect_has(report, "at least 5, at most 30, until half of every interval");
  expect_has(report, "On what they ended: after 7 of at most 30 rounds: the widest interval is ± 1.9 %. ");
  expect_has(report, "2 rounds were run before to warm up and discarded; the last two agreed");
  expect_has(report,
             "at most 40 % of the processor in a round, the host at most 2 %. Disturbed rounds: 0; measured twice, of "
             "which the "
             "quieter attempt counts: 0.");
}

TEST(ReportMarkdown, CallsTheRangeOfFewRoundsARange) {
  const std::string report =
      report_markdown(results_of(layout({kMha}), {trial(kMha, 0, {prefill(100)}), trial(kMha, 1, {prefill(300)})}));
  expect_has(report, "| 200 (100 to 300) |");
}

TEST(ReportMarkdown, SaysInTheRowThatAPolicyEvictedNothing) {
  const Sample none = {"rows_evicted", "rows", "none", 0, true};
  std::vector<TrialResult> trials = {trial(kMha, 0, {none}), trial(kSink, 0, {none})};
  trials[1].details = {{"notes", {"converted: 12 kv heads to 4"}}, {"evicted_nothing", true}};
  const std::string report = report_markdown(results_of(layout({kMha, kSink}), trials));
  expect_has(report, "| mha/full | 0 | baseline |");
  expect_has(report, "| mha/sink | 0 | evicted nothing; converted: 12 kv heads to 4 |");
}

TEST(ReportMarkdown, NamesFailuresRefusalsAndWhatWasNotRun) {
  StudyLayout study = layout({kMha, kSink, arm("mqa"), arm("gqa")});
  study.arms[2].refused = "one head only";
  study.warnings = {"the text is short"};
  TrialResult failed = trial(kSink, 0, {});
  failed.status = "timed_out";
  failed.reason = "after 600 s";
  const std::string report = report_markdown(results_of(study, {trial(kMha, 0, {prefill(5)}), failed}));
  expect_has(report, "## Warnings\n\n- the text is short\n");
  expect_has(report, "| mha/sink | speed q512 | 1 | timed_out: after 600 s |");
  expect_has(report, "| mqa/full |  | – | refused: one head only |");
  expect_has(report, "| mha/sink | – | timed_out: after 600 s (rounds: 1) |");
  expect_has(report, "## Not run yet\n\n- gqa/full, speed q512\n");
}

TEST(ReportMarkdown, ShowsTheRoof) {
  Results results = results_of(layout({kMha}), {trial(kMha, 0, {prefill(5)})});
  results.environment["roof"] = {{"fma_flops_per_second", 226.4e9}};
  expect_has(report_markdown(results), "| FMA peak (f32) | 226 GFLOP/s |");
}

TEST(ReportMarkdown, ShowsGeneratedTextWhateverIsInIt) {
  TrialResult generated = trial(kMha, 0, {prefill(5)});
  generated.workload = "generate";
  generated.details = {{"prompt", "Once"}, {"text", " upon\n```\n</details><b>\x1b[2J a time"}};
  const std::string report = report_markdown(results_of(layout({kMha}), {generated}));
  expect_has(report, "````text\nOnce upon\n```\n</details><b> [2J a time\n````\n");
}

TEST(ReportMarkdown, EscapesEveryNameThatComesFromOutside) {
  const std::string evil = "</td><script>alert(1)</script>|`x`\n# [a](b) &amp;";
  const std::string tame = "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;\\|\\`x\\` # \\[a\\](b) &amp;amp;";
  ArmLayout bad{.name = evil, .attention = evil, .position = evil, .cache = evil, .notes = {evil}};
  ArmLayout refused = bad;
  refused.name = evil + "2";
  refused.refused = evil;
  StudyLayout study = layout({bad, refused});
  study.name = study.question = evil;
  study.warnings = {evil};
  TrialResult result = trial(bad, 0, {prefill(5)});
  result.workload = result.case_name = evil;
  result.samples[0].metric = evil;
  result.details = {{"notes", {evil}}};
  TrialResult failed = trial(bad, 1, {});
  failed.status = "failed";
  failed.reason = evil;
  Results results = results_of(study, {result, failed});
  for (const char* key : {"cpu", "kernel", "simd_target"}) results.environment[key] = evil;
  results.environment["build"] = {{"compiler", evil}, {"git_revision", evil}};
  const std::string report = report_markdown(results);
  expect_has_not(report, "<script>");
  expect_has_not(report, "|`x`");
  expect_has_not(report, "\n# [a]");
  expect_has(report, "# " + tame + "\n\n" + tame + "\n");
  expect_has(report, "| CPU | " + tame + " |");
}

TEST(ReportMarkdown, OfNoTrialsSaysSo) {
  const Results results = results_of(layout({kMha}), {});
  expect_has(report_markdown(results), "No trial has ended yet.");
  EXPECT_EQ(terminal_table(results), "no trial has ended\n");
}

TEST(ReportMarkdown, SurvivesAnEnvironmentOfOtherTypes) {
  Results results = results_of(layout({kMha}), {trial(kMha, 0, {prefill(NAN)})});
  results.environment = {{"cpu", 3}, {"roof", "none"}, {"caches", nullptr}, {"cpu_flags", {1, "avx2"}}};
  expect_has(report_markdown(results), "| CPU flags | avx2 |");
}

TEST(TerminalTable, AlignsColumnsAndKeepsControlCharactersAway) {
  std::vector<TrialResult> trials = seven_rounds();
  trials[1].details["notes"] = {"moves \x1b[2J the cursor"};
  const std::string table = terminal_table(results_of(layout({kMha, kSink}), trials));
  EXPECT_EQ(table,
            "speed q512\n"
            "  arm        prefill tokens/s ↑            KV cache ↓\n"
            "  mha/full               12.3 k              64.0 MiB   baseline\n"
            "  mha/sink   16.2 k  (1.311 ×*)   16.0 MiB  (0.250 ×)   moves  [2J the cursor\n\n"
            "× median of paired ratios to mha/full\n"
            "* more than chance, all arms at once (95 %)\n"
            "mha/sink prefills 1.311 × [1.309, 1.312] as fast as mha/full; 0.25 × the KV bytes.\n");
  expect_has_not(table, "\x1b");
}

class ResultsFolder : public Test {
 protected:
  ResultsFolder() {
    fs::create_directory(folder_ / "trials");
    write_environment({{"cpu", "Test CPU"}, {"study", layout({kMha, kSink})}});
    for (const TrialResult& result : seven_rounds()) write_trial(folder_ / "trials", result);
  }

  void write_environment(const nlohmann::json& json) { write_plainly(folder_ / "environment.json", json.dump()); }

  std::string error() {
    try {
      write_reports(folder_.path());
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  Folder folder_;
};

TEST_F(ResultsFolder, RebuildsTheSameReportsFromItsFilesAlone) {
  write_reports(folder_.path());
  const std::vector<std::string> names = {"samples.csv", "summary.csv", "comparisons.csv", "report.md"};
  std::vector<std::string> first;
  for (const std::string& name : names) {
    first.push_back(read_plainly(folder_ / name));
    EXPECT_FALSE(first.back().empty()) << name;
    fs::remove(folder_ / name);
  }
  write_reports(folder_.path());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(read_plainly(folder_ / names[i]), first[i]) << names[i];
}

TEST_F(ResultsFolder, TheLayoutComesBackFromEnvironmentJson) {
  StudyLayout study = layout({kMha, kSink});
  study.baseline = kSink.name;
  study.warnings = {"w"};
  study.arms[0].notes = {"n"};
  study.arms[0].refused = "r";
  EXPECT_EQ(nlohmann::json(study).get<StudyLayout>(), study);
}

TEST_F(ResultsFolder, AReportMayBeAskedForAnotherBaseline) {
  const Results own = read_results(folder_.path());
  const Results other = read_results(folder_.path(), kSink.name);
  EXPECT_EQ(own.layout.baseline, kMha.name);
  EXPECT_EQ(other.layout.baseline, kSink.name);
  EXPECT_EQ(other.layout.measured_against, kMha.name);
  const auto ratio = [](const Results& results, const ArmLayout& of) {
    for (const SummaryRow& row : results.summary.rows)
      if (row.arm == of.name && row.metric == "prefill_tokens_per_second") return row.ratio->median;
    return 0.0;
  };
  EXPECT_NEAR(ratio(own, kSink) * ratio(other, kMha), 1, 1e-3);
  EXPECT_EQ(ratio(other, kSink), 1);
  expect_has(report_markdown(other), "Ratios are to mha/sink, as the report was asked for");
  expect_has_not(report_markdown(own), "as the report was asked for");
  try {
    static_cast<void>(read_results(folder_.path(), "mha/sinc"));
    ADD_FAILURE() << "an arm that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "--baseline mha/sinc: no arm of the run has this name; its arms: mha/full, mha/sink");
  }
}

TEST_F(ResultsFolder, TheNewestRunBelowAFolderIsFound) {
  const Folder all;
  for (const char* name : {"study/2026-01-01", "study/2026-01-02", "study/2026-01-03"})
    fs::create_directories(all / name);
  const auto now = fs::file_time_type::clock::now();
  for (const auto& [name, age] :
       {std::pair("study/2026-01-01", 30), {"study/2026-01-02", 10}, {"study/2026-01-03", 20}}) {
    fs::copy(folder_.path(), all / name, fs::copy_options::recursive);
    fs::last_write_time(all / name / "environment.json", now - std::chrono::seconds(age));
  }
  EXPECT_EQ(newest_run(all.path()), all / "study/2026-01-02");
  EXPECT_EQ(newest_run(all / "study/2026-01-01"), all / "study/2026-01-01");
  EXPECT_EQ(newest_run(all / "nowhere"), all / "nowhere");
  EXPECT_EQ(find_runs(all.path()).size(), 3u);
}

TEST_F(ResultsFolder, NamesWhatIsMissing) {
  fs::remove_all(folder_ / "trials");
  EXPECT_TRUE(error().starts_with((folder_ / "trials").string() + ": cannot be read: ")) << error();
  fs::remove(folder_ / "environment.json");
  EXPECT_EQ(error(), folder_.path().string() + ": has no environment.json; name a folder that `attnlab run` wrote");
  fs::remove_all(folder_.path());
  EXPECT_EQ(error(), folder_.path().string() + ": is no folder; name a folder that `attnlab run` wrote");
}

TEST_F(ResultsFolder, NamesWhatIsDamagedAndWritesNothing) {
  const std::string environment = (folder_ / "environment.json").string();
  for (const char* text : {"", "{", "[]", "{}", R"({"study": 3})", R"({"study": {"name": "x", "arms": [{}]}})"}) {
    write_plainly(folder_ / "environment.json", text);
    EXPECT_TRUE(error().starts_with(environment + ": ")) << text << " -> " << error();
  }
  write_environment({{"study", layout({kMha})}});
  write_plainly(folder_ / "trials/broken.json", "{\"id\": ");
  EXPECT_TRUE(error().starts_with((folder_ / "trials/broken.json").string() + ": is damaged: ")) << error();
  EXPECT_FALSE(fs::exists(folder_ / "report.md"));
  EXPECT_FALSE(fs::exists(folder_ / "summary.csv"));
}

TEST(Format, SiHasThreeDigitsAndRollsOver) {
  EXPECT_EQ(format_si(0), "0");
  EXPECT_EQ(format_si(656), "656");
  EXPECT_EQ(format_si(95.14), "95.1");
  EXPECT_EQ(format_si(999.4), "999");
  EXPECT_EQ(format_si(999.6), "1.00 k");
  EXPECT_EQ(format_si(12345), "12.3 k");
  EXPECT_EQ(format_si(226.4e9), "226 G");
  EXPECT_EQ(format_si(-1500), "-1.50 k");
  EXPECT_EQ(format_si(0.00123), "0.00123");
  EXPECT_EQ(format_si(NAN), "nan");
}

TEST(Format, BytesAreBinaryAndSecondsAreScaled) {
  EXPECT_EQ(format_duration(0.84), "0.8 s");
  EXPECT_EQ(format_duration(7), "7 s");
  EXPECT_EQ(format_duration(12.4), "12 s");
  EXPECT_EQ(format_duration(59.7), "1 min");
  EXPECT_EQ(format_duration(64), "1 min 04 s");
  EXPECT_EQ(format_duration(600), "10 min");
  EXPECT_EQ(format_duration(3725), "1 h 02 min");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(45.6 * 1024 * 1024), "45.6 MiB");
  EXPECT_EQ(format_seconds(0.00123), "1.23 ms");
  EXPECT_EQ(format_seconds(45.6e-6), "45.6 µs");
  EXPECT_EQ(format_seconds(12.34), "12.3 s");
  EXPECT_EQ(format_seconds(0), "0 s");
  EXPECT_EQ(format_value(0.9812, "share"), "98.1 %");
  EXPECT_EQ(format_value(12.3456, ""), "12.35");
  EXPECT_EQ(format_value(4096, "rows"), "4096");
  EXPECT_EQ(format_ratio(1.3123), "1.312 ×");
  EXPECT_EQ(format_ratio(24.13), "24.1 ×");
}

TEST(Format, MarkdownTextLeavesOrdinaryNamesReadable) {
  EXPECT_EQ(markdown_text("mha/rope/sink: kv_heads 4 (half!)"), "mha/rope/sink: kv_heads 4 (half!)");
  EXPECT_EQ(markdown_text("- item"), "\\- item");
  EXPECT_EQ(markdown_text("_x_ *y*"), "\\_x\\_ \\*y\\*");
}

}  // namespace
}  // namespace attnlab::report::test

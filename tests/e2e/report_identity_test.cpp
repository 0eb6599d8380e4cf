// What every report says of the model and the texts that it is about, and which arms it compares: in all outputs,
// as people get them. Which run is taken of a folder of runs is in compare_test.cpp.
#include <chrono>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "e2e/checkpoints.h"
#include "e2e/experiments.h"

namespace attnlab::program_test {
namespace {

const std::string kText = "A model that was never trained reads a short text, and two caches remember it.\n";
const std::string kBanner = "Random weights: speeds and bytes mean something, quality does not";

class ReportIdentity : public testing::Test {
 protected:
  void SetUp() override {
    sandbox_.write("model.yaml", read_file(kTinyModel));
    sandbox_.write("text.txt", kText);
  }
  Outcome run(const std::string& folder, const std::string& more = "", const std::string& model = "model.yaml",
              const std::string& workloads =
                  "[{speed: {batch: [q1s32]}}, "
                  "{perplexity: {text: text.txt, context: 24, prefill: 4}}]") const {
    sandbox_.write("study.yaml", Experiment{.model = model,
                                            .repeats = "2",
                                            .arms = "[{name: full}, {name: short, cache: {window: {window: 8}}}, "
                                                    "{name: long, cache: {window: {window: 16}}}]",
                                            .workloads = workloads,
                                            .more = more}
                                     .yaml());
    const Outcome outcome = sandbox_.run({"run", "study.yaml", "-o", folder, "--threads", "2"});
    expect_well(outcome);
    return outcome;
  }
  std::string hash_of(const fs::path& file) const {
    std::FILE* pipe = popen(("sha256sum '" + (sandbox_ / file).string() + "'").c_str(), "r");
    char digits[65] = {};
    EXPECT_EQ(std::fread(digits, 1, 64, pipe), 64U);
    pclose(pipe);
    return digits;
  }
  nlohmann::json json(std::vector<std::string> more = {}) const {
    std::vector<std::string> command{"report", "out", "--format", "json"};
    command.insert(command.end(), more.begin(), more.end());
    const Outcome outcome = sandbox_.run(command);
    expect_well(outcome);
    return nlohmann::json::parse(outcome.out);
  }
  static double median_of(const nlohmann::json& report, const std::string& arm, const std::string& metric) {
    for (const nlohmann::json& row : report.at("summary"))
      if (row.at("arm") == arm && row.value("metric", "") == metric) return row.at("median").get<double>();
    ADD_FAILURE() << "no " << metric << " of " << arm;
    return std::nan("");
  }
  // Sets the metric in the trials of the arm to values by round, and drops the trials of other rounds.
  void plant(const std::string& arm, const std::string& metric, const std::map<int, double>& values) const {
    for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials")) {
      if (entry.path().extension() != ".json") continue;
      nlohmann::json trial = nlohmann::json::parse(read_file(entry.path()));
      if (trial.at("arm") != arm || trial.at("workload") != "speed") continue;
      const auto value = values.find(trial.at("round").get<int>());
      if (value == values.end()) {
        trial["status"] = "failed";
        trial["reason"] = "planted";
        trial["samples"] = nlohmann::json::array();
      } else {
        for (nlohmann::json& sample : trial["samples"])
          if (sample.at("metric") == metric) sample["value"] = value->second;
      }
      std::ofstream(entry.path()) << trial.dump();
    }
  }
  static std::vector<std::string> with(const std::string& text, const std::string& part) {
    std::vector<std::string> found;
    for (const std::string& line : lines_of(text))
      if (line.find(part) != std::string::npos) found.push_back(line);
    return found;
  }

  Sandbox sandbox_;
};

TEST_F(ReportIdentity, EveryOutputNamesTheModelTheTextAndThatTheWeightsAreRandom) {
  const std::string terminal = run("out").out;
  // 79 bytes, each a token: windows of 24 tokens with a BOS each, of which 4 are the prompt.
  const nlohmann::json report = json();
  double scored = 0;
  for (const auto& entry : fs::directory_iterator(sandbox_ / "out/trials"))
    if (const nlohmann::json trial = entry.path().extension() == ".json"
                                         ? nlohmann::json::parse(read_file(entry.path()))
                                         : nlohmann::json{{"workload", ""}};
        trial.at("workload") == "perplexity" && trial.at("arm") == "full")
      scored = trial.at("details").at("tokens").get<double>();
  ASSERT_GT(scored, 0);
  const std::string tokens = fmt::format("{:.0f} tokens scored", scored);
  const std::string text = hash_of("text.txt").substr(0, 12);
  for (const std::string& output :
       {terminal, read_file(sandbox_ / "out/report.md"), read_file(sandbox_ / "out/report.html"), report.dump()})
    expect_mentions(
        output, {kBanner, "model.yaml", "LlamaForCausalLM", "2 layers", "125 k parameters", "text.txt", text, tokens});
  EXPECT_EQ(report.at("model").at("parameters"), 125248);  // as configs/models/tiny.yaml says
  for (const nlohmann::json& entry : report.at("cases"))
    if (entry.at("workload") == "perplexity") {
      EXPECT_EQ(entry.at("data").at("text_sha256"), hash_of("text.txt"));
      EXPECT_EQ(entry.at("data").at("text_bytes"), std::to_string(kText.size()));
    }
}

TEST_F(ReportIdentity, ACheckpointHasNoBannerAndTheHashOfItsWeights) {
  const fs::path original = fs::path(ATTNLAB_TEST_DATA_DIR) / "bughunt" / "ppl-bos";
  const EditedCheckpoint checkpoint(original);
  fs::copy(original, sandbox_ / "model");
  std::int64_t parameters = 0;
  for (const EditedTensor& tensor : checkpoint.tensors) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) elements *= extent;
    parameters += elements;
  }
  run("out", "", "model");
  const std::string markdown = read_file(sandbox_ / "out/report.md");
  EXPECT_EQ(markdown.find("Random weights"), std::string::npos);
  const nlohmann::json report = json();
  EXPECT_EQ(report.at("banner"), "");
  EXPECT_EQ(report.at("model").at("parameters"), parameters);
  EXPECT_EQ(report.at("model").at("weights_sha256"), hash_of("model/model.safetensors"));
  EXPECT_EQ(report.at("model").at("tokenizer_sha256"), hash_of("model/tokenizer.json"));
  expect_mentions(markdown, {hash_of("model/model.safetensors").substr(0, 12),
                             hash_of("model/tokenizer.json").substr(0, 12), "BOS"});
}

TEST_F(ReportIdentity, ABaselineThatIsAskedForGetsTheRatiosAndKlStaysAsItWasMeasured) {
  run("out", "baseline: full");
  const nlohmann::json before = json(), after = json({"--baseline", "short"});
  EXPECT_EQ(after.at("study").at("baseline"), "short");
  for (const nlohmann::json& row : after.at("summary")) {
    if (row.value("metric", "") != "kv_bytes_allocated" || row.at("workload") != "speed") continue;
    EXPECT_DOUBLE_EQ(row.at("ratio").get<double>(),
                     row.at("median").get<double>() / median_of(before, "short", "kv_bytes_allocated"));
  }
  for (const char* arm : {"full", "short", "long"})
    EXPECT_EQ(median_of(after, arm, "kl_to_baseline"), median_of(before, arm, "kl_to_baseline"));
  EXPECT_EQ(median_of(after, "full", "kl_to_baseline"), 0);
  EXPECT_GT(median_of(after, "short", "kl_to_baseline"), 0)
      << "of the baseline that was asked for, to the one of the run";
  const Outcome written = sandbox_.run({"report", "out", "--baseline", "short"});
  expect_well(written);
  for (const std::string& output : {written.out, read_file(sandbox_ / "out/report.md")})
    expect_mentions(output, {"short", "measured against full"});
  expect_refused(sandbox_, {"report", "out", "--baseline", "shor"}, {"shor", "full", "short", "long"});
}

TEST_F(ReportIdentity, AnyPairThatTheExperimentNamesIsCompared) {
  run("out", "baseline: full\ncompare_with: [short]");
  const std::string header = lines_of(read_file(sandbox_ / "out/summary.csv")).front();
  EXPECT_EQ(header,
            "arm,attention,position,cache,workload,case,metric,unit,better,n,median,ci_low,ci_high,baseline_ratio,"
            "ratio_low,ratio_high,status");
  const CsvTable summary = summary_of(sandbox_ / "out"), all(read_file(sandbox_ / "out/comparisons.csv"));
  EXPECT_EQ(all.distinct("compared_with"), (std::vector<std::string>{"full", "short"}));
  const auto bytes = [&](const std::string& arm) {
    const auto found = summary.where({{"arm", arm}, {"metric", "kv_bytes_allocated"}, {"workload", "speed"}});
    EXPECT_EQ(found.size(), 1U);
    return std::stod(summary.at(found.at(0), "median"));
  };
  for (const auto& [arm, reference] : std::map<std::string, std::string>{{"long", "short"}, {"short", "full"}}) {
    const auto found = all.where(
        {{"arm", arm}, {"compared_with", reference}, {"metric", "kv_bytes_allocated"}, {"workload", "speed"}});
    ASSERT_EQ(found.size(), 1U) << arm << " to " << reference;
    EXPECT_DOUBLE_EQ(std::stod(all.at(found.front(), "ratio")), bytes(arm) / bytes(reference));
  }
  EXPECT_TRUE(all.where({{"arm", "short"}, {"compared_with", "short"}}).empty());
  expect_mentions(read_file(sandbox_ / "out/report.md"), {"Against short"});
  EXPECT_FALSE(json().at("comparisons").empty());
  // Names that are no arm are errors with their place.
  sandbox_.write("wrong.yaml", Experiment{.arms = "[{name: full}]", .more = "compare_with: [ful]"}.yaml());
  expect_wrong_input(sandbox_.run({"validate", "wrong.yaml"}), {"wrong.yaml:6:", "compare_with", "full"});
}

// The machine was slow in rounds 0 to 6, of which `short` has none: its median is 1.68 times that of `full`, although
// it was slower in every round that both have.
TEST_F(ReportIdentity, ARatioThatContradictsTheFiguresBesideItIsMarkedInEveryOutput) {
  sandbox_.write("study.yaml", Experiment{.repeats = "13",
                                          .arms = "[{name: full}, {name: short, cache: {window: {window: 8}}}]",
                                          .workloads = "[{speed: {batch: [q1s8]}}]",
                                          .more = "warmup: 0"}
                                   .yaml());
  expect_well(sandbox_.run({"run", "study.yaml", "-o", "out", "--threads", "2"}));
  std::map<int, double> slow_and_fast, fast;
  for (int round = 0; round < 13; ++round) {
    const double wobble = 1 + 0.001 * (round % 3);
    slow_and_fast[round] = (round < 7 ? 164 : 280.5) * wobble;
    if (round >= 7) fast[round] = 276 * wobble * (1 + 0.0005 * (round % 2));
  }
  plant("full", "decode_tokens_per_second", slow_and_fast);
  plant("short", "decode_tokens_per_second", fast);
  const Outcome outcome = sandbox_.run({"report", "out"});
  expect_well(outcome);
  const nlohmann::json report = json();
  for (const nlohmann::json& row : report.at("summary"))
    if (row.value("metric", "") == "decode_tokens_per_second" && row.at("arm") == "short") {
      EXPECT_NEAR(row.at("ratio").get<double>(), 0.984, 0.002);
      EXPECT_TRUE(row.value("unstable", false)) << row;
    }
  const std::string markdown = read_file(sandbox_ / "out/report.md");
  for (const std::string& output : {outcome.out, markdown, read_file(sandbox_ / "out/report.html")})
    expect_mentions(output, {"unstable", "paired ratios"});
  ASSERT_FALSE(with(markdown, "| short |").empty());
  EXPECT_NE(with(markdown, "| short |").front().find("†"), std::string::npos) << markdown;
  EXPECT_FALSE(with(outcome.out, "†").empty()) << outcome.out;
  const CsvTable all(read_file(sandbox_ / "out/comparisons.csv"));
  const auto found = all.where({{"arm", "short"}, {"metric", "decode_tokens_per_second"}});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(all.at(found.front(), "unstable"), "yes");
  // Bytes, which are the same in every round, contradict nothing.
  for (const std::size_t row : all.where({{"metric", "kv_bytes_allocated"}})) EXPECT_EQ(all.at(row, "unstable"), "no");
}

TEST_F(ReportIdentity, AnIndexShowsWhatTellsRunsApartAndWhyOneIsDamaged) {
  run("results/one");
  run("results/two", "seed: 7");
  run("results/broken");
  sandbox_.write("results/broken/environment.json", "{\"study\": ");
  expect_well(sandbox_.run({"report", "--index", "results"}));
  const std::string page = read_file(sandbox_ / "results/index.html");
  expect_mentions(page, {"full", "short", "long", "model.yaml", "2 threads", "results/broken", "is damaged", "broken"});
  const std::string revision =
      nlohmann::json::parse(read_file(sandbox_ / "results/one/environment.json")).at("build").at("git_revision");
  expect_mentions(page, {revision});
}

}  // namespace
}  // namespace attnlab::program_test

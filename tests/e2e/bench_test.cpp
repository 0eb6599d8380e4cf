// attnlab bench: which benchmarks there are, what their JSON holds, wrong flags, plugins from outside, and the study
// that is made of them. What they measure is not judged here.
#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "e2e/experiments.h"
#include "reference/plugins.h"
#include "reference/storage_spec.h"

namespace attnlab::program_test {
namespace {

using nlohmann::json;

std::vector<std::string> bench(std::vector<std::string> more) {
  std::vector<std::string> words{"bench", "--threads", "1", "--benchmark_min_time=0.01"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

bool has_counter(const json& run, const char* name) {
  return run.contains(name) && run.at(name).is_number();
}

// A scheme that cannot be made for heads of 128.
constexpr const char* kFussy = R"(#include <attnlab/error.h>
#include <attnlab/plugin.h>

namespace {
using namespace attnlab;

class Fussy final : public PositionScheme {
 public:
  Fussy(const NoOptions&, const CreateContext& context) {
    if (context.head_dim == 128) throw Error("", "fussy wants small heads", "use heads of 64");
  }
  static Traits traits(const NoOptions&) { return {}; }
};

constexpr Component<PositionScheme> kPosition[] = {
    component<PositionScheme, Fussy>({.id = "fussy", .summary = "Does nothing, for small heads.", .reference = "none"})};
}  // namespace

ATTNLAB_PLUGIN(.name = "fussy", .version = "0.1", .position = kPosition);
)";

TEST(Bench, ListsEveryLoadedPluginOfEveryKindWithoutRunningAnything) {
  const Sandbox sandbox;
  const Outcome listed = sandbox.run({"bench", "--benchmark_list_tests"});
  expect_well(listed);
  const std::vector<std::string> names = lines_of(listed.out);
  const auto expect_all = [&](const std::string& what) {
    for (const char* head_dim : {"64", "128"})
      for (const char* context : {"512", "2048", "8192", "32768"})
        for (const char* phase : {"prefill", "decode"}) {
          const std::string name = what + "/head_dim:" + head_dim + "/context:" + context + "/" + phase + "/real_time";
          EXPECT_EQ(std::ranges::count(names, name), 1) << name;
        }
  };
  std::size_t kinds = 0;
  for (const Descriptor& component : reference::plugins().components()) {
    expect_all(std::string(kind_name(component.kind)) + "/" + component.id);
    ++kinds;
  }
  expect_all("storage/paged");
  std::size_t of_core = 0;
  for (const char* head_dim : {"64", "128"})
    for (const char* context : {"1024", "2048", "8192"})
      for (const char* pass : {"prefill", "backward"}) {
        const std::string name =
            std::string("core/softmax/head_dim:") + head_dim + "/context:" + context + "/" + pass + "/real_time";
        EXPECT_EQ(std::ranges::count(names, name), 1) << name;
        ++of_core;
      }
  EXPECT_EQ(names.size(), (kinds + 1) * 16 + of_core);
}

TEST(Bench, JsonHasTheCountersOfEveryKindOfBenchmark) {
  const Sandbox sandbox;
  const Outcome outcome = sandbox.run(bench(
      {"--benchmark_format=json", "--benchmark_filter=/(mha|rope|alibi|window|int8|linear)/head_dim:64/context:512/"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  const json found = json::parse(outcome.out);
  const json& context = found.at("context");
  EXPECT_EQ(context.at("threads"), "1");
  EXPECT_GT(std::stod(context.at("fma_flops_per_second").get<std::string>()), 0);
  EXPECT_GT(std::stod(context.at("read_bytes_per_second").get<std::string>()), 0);

  ASSERT_EQ(found.at("benchmarks").size(), 12u);
  for (const json& run : found.at("benchmarks")) {
    const std::string name = run.at("name");
    EXPECT_GT(run.at("real_time").get<double>(), 0) << name;
    for (const char* counter : {"GB/s", "tokens/s", "bytes_per_token", "cache_resident"})
      EXPECT_TRUE(has_counter(run, counter)) << counter << " of " << name;
    for (const char* share : {"fma_share", "bandwidth_share"})
      if (run.contains(share)) {
        EXPECT_GT(run.at(share).get<double>(), 0) << name;
        EXPECT_LE(run.at(share).get<double>(), 1) << name;
      }
    if (run.at("cache_resident") == 1) {
      EXPECT_FALSE(run.contains("bandwidth_share")) << name;
      EXPECT_TRUE(run.at("label").get<std::string>().starts_with("cache-resident")) << name;
    }
    const bool is_position = name.starts_with("position/");
    EXPECT_EQ(has_counter(run, "GFLOP/s"), !is_position) << name;
    EXPECT_EQ(has_counter(run, "kv_bytes"), !is_position) << name;
  }
}

TEST(Bench, MeasuresTheCoreWithoutPlugins) {
  const Sandbox sandbox;
  const Outcome outcome =
      sandbox.run(bench({"--benchmark_out=core.json", "--benchmark_filter=core/softmax/head_dim:64/context:1024"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  const json found = json::parse(read_file(sandbox / "core.json"));
  ASSERT_EQ(found.at("benchmarks").size(), 2u);
  // Of 12 heads: two products of 64 multiply-adds for each of 1024 * 1025 / 2 pairs, and twice as many backward.
  const double forward = 12 * 2.0 * 2 * 64 * 1024 * 1025 / 2;
  for (const json& run : found.at("benchmarks")) {
    const std::string name = run.at("name");
    const double seconds = 1024 / run.at("tokens/s").get<double>();
    const double expected = name.find("backward") == std::string::npos ? forward : 2 * forward;
    EXPECT_NEAR(run.at("GFLOP/s").get<double>() * 1e9 * seconds, expected, 1e-3 * expected) << name;
    EXPECT_FALSE(run.contains("kv_bytes")) << name;
  }
  const Outcome study = sandbox.run({"bench", "--study", "--from", "core.json", "-o", "study"});
  ASSERT_EQ(study.exit_code, 0) << study;
  const std::string report = read_file(sandbox / "study/report.md");
  EXPECT_NE(report.find("core softmax"), std::string::npos) << report;
  EXPECT_NE(report.find("head_dim:64 context:1024 backward"), std::string::npos) << report;
}

TEST(Bench, CountsTheBytesOfADecodeStepFromTheStorage) {
  const Sandbox sandbox;
  const Outcome outcome = sandbox.run(bench(
      {"--benchmark_format=json", "--benchmark_filter=(storage/int8|cache/window)/head_dim:64/context:2048/decode"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  const json found = json::parse(outcome.out);
  const auto run_of = [&](const std::string& start) -> const json& {
    for (const json& run : found.at("benchmarks"))
      if (run.at("name").get<std::string>().starts_with(start)) return run;
    throw std::runtime_error(start);
  };
  const KvShape shape{.kv_heads = 12, .key_dim = 64, .value_dim = 64};
  const double int8_row = row_bytes({.keys = "int8", .values = "int8"}, shape);
  const json& int8 = run_of("storage/int8");
  EXPECT_DOUBLE_EQ(int8.at("kv_bytes_per_token").get<double>(), 12 * int8_row);
  // Rows grow by 64 to the context, and are then filled anew.
  EXPECT_GE(int8.at("bytes_per_token").get<double>(), (2048 - 64) * 12 * int8_row);
  EXPECT_LE(int8.at("bytes_per_token").get<double>(), 2048 * 12 * int8_row);
  // What was evicted is not read.
  EXPECT_DOUBLE_EQ(run_of("cache/window").at("bytes_per_token").get<double>(), 256 * 12 * row_bytes({}, shape));
}

TEST(Bench, EveryCacheDecodesOverMoreRowsThanItKeeps) {
  const Sandbox sandbox;
  const Outcome outcome =
      sandbox.run(bench({"--benchmark_filter=cache/.*/head_dim:64/context:2048/decode", "--benchmark_min_time=0.001"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  for (const char* cache : {"full", "h2o", "snapkv", "adakv", "expected_attention", "random"})
    expect_mentions(outcome.out, {fmt::format("cache/{}/head_dim:64/context:2048/decode", cache)});
}

// Policies are compared at the same number of rows, and every line says how many that are.
TEST(Bench, EveryCacheWithABudgetKeepsTheSameNumberOfRows) {
  const Sandbox sandbox;
  const Outcome outcome = sandbox.run(bench({"--benchmark_format=json", "--benchmark_min_time=0.001",
                                             "--benchmark_filter=cache/.*/head_dim:64/context:2048/"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  const json found = json::parse(outcome.out);
  EXPECT_EQ(found.at("context").at("cache_budget_rows"), "256");
  int with_budget = 0;
  for (const json& run : found.at("benchmarks")) {
    const std::string name = run.at("name");
    const std::string label = run.at("label");
    ASSERT_TRUE(has_counter(run, "kept_rows")) << name;
    expect_mentions(label, {fmt::format("keeps {:.0f} rows", run.at("kept_rows").get<double>())});
    // They keep all rows, or as many as the length of the text says.
    const auto has_no_budget = [&](const char* cache) { return name.starts_with(fmt::format("cache/{}/", cache)); };
    if (std::ranges::any_of(std::array{"full", "quest", "duo", "lagkv"}, has_no_budget)) continue;
    ++with_budget;
    EXPECT_NEAR(run.at("kept_rows").get<double>(), 256, 1) << name;
  }
  EXPECT_GE(with_budget, 2 * 11);
}

TEST(Bench, SaysNothingOfHowTheLibraryWasBuilt) {
  const Sandbox sandbox;
  const std::string filter = "--benchmark_filter=storage/f32/head_dim:64/context:512/decode";
  for (const std::vector<std::string>& more : {std::vector<std::string>{},
                                               {"--benchmark_format=csv"},
                                               {"--benchmark_format=json"},
                                               {"--benchmark_out=out.csv", "--benchmark_out_format=csv"},
                                               {"--benchmark_out=out.txt", "--benchmark_out_format=console"},
                                               {"--benchmark_out=out.json"}}) {
    std::vector<std::string> words = bench(more);
    words.push_back(filter);
    const Outcome outcome = sandbox.run(words);
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    for (const std::string& line : lines_of(outcome.err))
      EXPECT_TRUE(line.starts_with("attnlab: warning: the clock")) << outcome;
    EXPECT_EQ(outcome.out.find("DEBUG"), std::string::npos) << outcome;
    const bool is_for_people = more.empty() || more.front().starts_with("--benchmark_out=");
    if (is_for_people) {
      expect_mentions(lines_of(outcome.out).front(), {"1 threads", "FMA peak", "read bandwidth"});
    }
  }
  expect_mentions(read_file(sandbox / "out.csv"), {"name,iterations,", "storage/f32/head_dim:64/context:512/decode"});
  EXPECT_TRUE(read_file(sandbox / "out.csv").starts_with("name,iterations,"));
  expect_mentions(read_file(sandbox / "out.txt"), {"storage/f32/head_dim:64/context:512/decode"});
  EXPECT_FALSE(json::parse(read_file(sandbox / "out.json")).at("benchmarks").empty());
}

TEST(Bench, WrongFlagsAreRefused) {
  const Sandbox sandbox;
  expect_refused(sandbox, {"bench", "--benchmark_filtre=x"}, {"unknown flag", "--benchmark_filter"});
  expect_refused(sandbox, {"bench", "stray"}, {"unexpected argument \"stray\""});
  expect_refused(sandbox, {"bench", "--speed=1"}, {"unexpected argument \"--speed=1\""});
  expect_refused(sandbox, {"bench", "--benchmark_min_time=long"}, {"wrong value", "--benchmark_min_time=long"});
  expect_refused(sandbox, {"bench", "--benchmark_format=xml"}, {"--benchmark_format=xml", "json"});
  expect_refused(sandbox, {"bench", "--benchmark_filter=("}, {"--benchmark_filter=(", "regular expression"});
  expect_refused(sandbox, {"bench", "--benchmark_filter=no-such-plugin"}, {"no benchmark matches"});
  expect_refused(sandbox, {"bench", "--benchmark_out=no/such/folder.json"},
                 {"no/such/folder.json", "cannot be written"});
  expect_refused(sandbox, {"bench", "-o", "somewhere"}, {"--study"});
  expect_refused(sandbox, {"bench", "--study", "--from", "nothing.json"}, {"nothing.json"});
}

TEST(Bench, AnErrorEndsOneBenchmarkAndNotTheOthers) {
  const Sandbox sandbox;
  setenv("XDG_CACHE_HOME", (sandbox / "kept").c_str(), 1);
  sandbox.write("fussy.cpp", kFussy);
  const Outcome outcome = sandbox.run(bench(
      {"--plugin", "fussy.cpp", "--benchmark_format=json", "--benchmark_filter=position/fussy/.*/context:512/decode"}));
  EXPECT_EQ(outcome.exit_code, 1) << outcome;
  const json runs = json::parse(outcome.out).at("benchmarks");
  ASSERT_EQ(runs.size(), 2u);
  for (const json& run : runs) {
    const bool fails = run.at("name").get<std::string>().find("head_dim:128") != std::string::npos;
    EXPECT_EQ(run.value("error_occurred", false), fails) << run;
    if (fails) expect_mentions(run.at("error_message"), {"fussy wants small heads"});
  }
}

TEST(Bench, AStudyHasTheReportsOfAnExperimentAndCanBeMadeAgainFromItsJson) {
  const Sandbox sandbox;
  const Outcome outcome =
      sandbox.run(bench({"--study", "-o", "study", "--benchmark_repetitions=2",
                         "--benchmark_filter=(storage/int8|storage/f32|attention/gqa)/head_dim:64/context:512/"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome;
  for (const char* file : {"benchmark.json", "environment.json", "samples.csv", "summary.csv", "report.md"})
    EXPECT_TRUE(fs::exists(sandbox / "study" / file)) << file;
  const auto trials = std::distance(fs::directory_iterator(sandbox / "study/trials"), fs::directory_iterator());
  EXPECT_EQ(trials, 3 * 2 * 2);

  const std::string summary = read_file(sandbox / "study/summary.csv");
  expect_mentions(summary,
                  {"mha/rope/full,mha,rope,full,storage,head_dim:64 context:512 decode,decode_tokens_per_second",
                   "int8,mha,rope,full (int8),storage,head_dim:64 context:512 prefill,prefill_tokens_per_second",
                   "gqa,gqa,rope,full,attention,", ",kv_bytes_allocated,", ",bytes_per_token,"});
  const json layout = json::parse(read_file(sandbox / "study/environment.json")).at("study");
  EXPECT_EQ(layout.at("baseline"), "mha/rope/full");
  EXPECT_EQ(layout.at("rounds"), 2);

  expect_refused(sandbox, {"bench", "--study", "--from", "study/benchmark.json", "-o", "study"}, {"not empty"});
  const Outcome again = sandbox.run({"bench", "--study", "--from", "study/benchmark.json", "-o", "again"});
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_EQ(read_file(sandbox / "again/summary.csv"), summary);
}

}  // namespace
}  // namespace attnlab::program_test

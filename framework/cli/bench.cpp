// attnlab bench: Google Benchmark over every loaded plugin, and its JSON as a study with a report.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "bench/run_suite.h"
#include "bench/study.h"
#include "cli/command.h"
#include "parallel/parallel.h"
#include "report/pages/terminal_table.h"

namespace attnlab::cli {
namespace {

// A study without a filter: what ends in some minutes and shows short and long contexts.
constexpr const char* kStudyFilter = "/head_dim:64/context:(512|8192)/";
constexpr const char* kStudyRepetitions = "5";

struct BenchOptions {
  std::vector<std::string> google_flags;
  std::vector<std::filesystem::path> plugins;
  int threads = 0;
  bool is_verbose = false;
  bool is_study = false;
  std::filesystem::path folder;
  std::filesystem::path from;
};

void print_study(const std::filesystem::path& folder) {
  fmt::print("{}\nreports are in {}\n", report::terminal_table(report::read_results(folder)), folder.string());
}

Registry load(const BenchOptions& options) {
  Registry registry = Registry::standard(options.plugins);
  for (const Refusal& refusal : registry.refusals())
    if (refusal.requested) throw Error(refusal.file.string(), "plugin refused: " + refusal.reason);
  return registry;
}

int convert(const BenchOptions& options) {
  if (!options.google_flags.empty())
    throw Error("", fmt::format("\"{}\" has no use here", options.google_flags.front()),
                "--from runs nothing: it reads what was measured");
  const nlohmann::json benchmarks = bench::read_benchmarks(options.from);
  const std::filesystem::path folder = bench::make_study_folder(options.folder);
  bench::write_study(benchmarks, bench::environment_of(benchmarks), folder);
  print_study(folder);
  return kAllWell;
}

int bench(const BenchOptions& options) {
  if (!options.is_study && (!options.from.empty() || !options.folder.empty()))
    throw Error("", "-o and --from belong to --study", "attnlab bench --study [--from FILE.json] [-o DIR]");
  if (!options.from.empty()) return convert(options);
  bench::GoogleFlags flags(options.google_flags);
  if (options.threads > 0) set_threads(options.threads);
  const Registry registry = load(options);
  const bench::Suite suite = bench::make_suite(registry);
  if (!options.is_study || flags.is_set("list_tests"))
    return bench::run_suite(registry, suite, flags, options.is_verbose).all_well ? kAllWell : kFailed;

  if (flags.has("out_format") && flags.value("out_format") != "json")
    throw Error("", "a study reads the JSON that --benchmark_out names", "leave --benchmark_out_format out");
  const std::filesystem::path folder = bench::make_study_folder(options.folder);
  flags.set_default("filter", kStudyFilter);
  flags.set_default("repetitions", kStudyRepetitions);
  flags.set_default("out", (folder / "benchmark.json").string());
  flags.set_default("out_format", "json");
  const bench::Outcome outcome = bench::run_suite(registry, suite, flags, options.is_verbose);
  bench::write_study(bench::read_benchmarks(flags.value("out")), outcome.environment, folder);
  print_study(folder);
  return outcome.all_well ? kAllWell : kFailed;
}

}  // namespace

void add_bench(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand(
      "bench", "Google Benchmark over every loaded plugin and storage; takes its --benchmark_* flags");
  auto options = std::make_shared<BenchOptions>();
  command->add_option("--plugin", options->plugins, "A plugin file or folder beside those of the build");
  command->add_option("--threads", options->threads, "Threads; default: all processors")->check(CLI::Range(1, 1024));
  command->add_flag("--verbose", options->is_verbose, "Say which combinations are left out, and why");
  command->add_flag("--study", options->is_study, "Make a results folder with the reports of an experiment");
  command->add_option("-o,--out", options->folder, "Folder of the study; default: results/bench/<time>");
  command->add_option("--from", options->from, "Make the study from a file that --benchmark_out wrote, run nothing");
  command->allow_extras();
  command->footer(
      "--benchmark_filter=REGEX, --benchmark_list_tests, --benchmark_repetitions=N, --benchmark_min_time=S,\n"
      "--benchmark_format=json, --benchmark_out=FILE and the other flags of Google Benchmark are passed on.");
  command->callback([=, &run] {
    options->google_flags = command->remaining();
    run = [=] { return bench(*options); };
  });
}

}  // namespace attnlab::cli

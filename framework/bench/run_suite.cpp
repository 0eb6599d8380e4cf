#include "bench/run_suite.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <set>

#include <attnlab/error.h>

#include "bench/kernel.h"
#include "bench/measure.h"
#include "bench/reporters.h"
#include "machine/roof.h"
#include "parallel/parallel.h"
#include "report/read/format.h"
#include "report/read/metrics.h"

namespace attnlab::bench {
namespace {

constexpr double kRoofSeconds = 1;

// The state of one benchmark at a time: made when it runs, kept for its next run, gone when another one's turn comes.
class Stage {
 public:
  Stage(const Registry& registry, const Machine& machine, bool gives_all)
      : registry_(registry), machine_(machine), gives_all_(gives_all) {}

  void run(benchmark::State& state, const Entry& entry) {
    try {
      if (shown_ != &entry) {
        kernel_.reset();
        shown_ = nullptr;
        kernel_ = make_kernel(registry_, entry);
        shown_ = &entry;
      }
      measure(state, *kernel_, machine_, gives_all_);
    } catch (const std::bad_alloc&) {
      fail(state, "not enough memory");
    } catch (const std::exception& error) {
      fail(state, error.what());
    }
  }
  [[nodiscard]] bool all_well() const noexcept { return all_well_; }

 private:
  void fail(benchmark::State& state, const std::string& reason) {
    kernel_.reset();
    shown_ = nullptr;
    all_well_ = false;
    state.SkipWithError(reason.c_str());
  }

  const Registry& registry_;
  Machine machine_;
  bool gives_all_;
  const Entry* shown_ = nullptr;
  std::unique_ptr<Kernel> kernel_;
  bool all_well_ = true;
};

std::vector<std::filesystem::path> plugin_files(const Registry& registry) {
  std::set<std::filesystem::path> files;
  for (const Descriptor& component : registry.components()) files.insert(component.file);
  return {files.begin(), files.end()};
}

// Keys of the JSON's context; what study.cpp reads again.
void add_context(const experiment::Environment& environment, const Suite& suite) {
  const auto number = [](double value) { return fmt::format("{:.6g}", value); };
  benchmark::AddCustomContext("attnlab_revision", environment.build.git_revision);
  benchmark::AddCustomContext("cpu", environment.cpu);
  benchmark::AddCustomContext("simd_target", environment.simd_target);
  benchmark::AddCustomContext("threads", std::to_string(environment.threads));
  benchmark::AddCustomContext("cache_budget_rows", std::to_string(kBudgetRows));
  benchmark::AddCustomContext("l3_bytes", std::to_string(environment.caches.l3_bytes));
  benchmark::AddCustomContext("fma_flops_per_second", number(environment.roof.best.fma_flops_per_second));
  benchmark::AddCustomContext("read_bytes_per_second", number(environment.roof.best.read_bytes_per_second));
  std::vector<std::string> left_out;
  for (const LeftOut& one : suite.left_out) left_out.push_back(one.name + ": " + one.reason);
  if (!left_out.empty()) benchmark::AddCustomContext("left_out", fmt::format("{}", fmt::join(left_out, " | ")));
}

void run_selected(const experiment::Environment& environment, const GoogleFlags& flags) {
  const auto number = [&](double value) { return report::format_si(value); };
  const experiment::RoofProbe& best = environment.roof.best;
  DisplayReporter display(
      fmt::format("{}, {} threads: FMA peak {}FLOP/s, read bandwidth {}B/s", environment.cpu, environment.threads,
                  number(best.fma_flops_per_second), number(best.read_bytes_per_second)),
      flags.value("format"));
  const std::unique_ptr<benchmark::BenchmarkReporter> file =
      flags.has("out") ? file_reporter(flags.value("out_format")) : nullptr;
  benchmark::RunSpecifiedBenchmarks(&display, file.get());
}

}  // namespace

Outcome run_suite(const Registry& registry, const Suite& suite, GoogleFlags flags, bool is_verbose) {
  if (flags.has("repetitions")) flags.set_default("enable_random_interleaving", "true");
  // Benchmarks differ in length by a factor of a thousand and are many: a fifth of Google's default each.
  flags.set_default("min_time", "0.1");
  benchmark::SetDefaultTimeUnit(benchmark::kMicrosecond);
  flags.initialize();

  // Google Benchmark's names: the time that counts is that of the clock on the wall, since all threads work.
  const auto full_name = [](const Entry& entry) { return entry.name() + "/real_time"; };
  if (std::ranges::none_of(suite.entries, [&](const Entry& entry) { return flags.selects(full_name(entry)); }))
    throw Error("", fmt::format("no benchmark matches \"{}\"", flags.value("filter")),
                "attnlab bench --benchmark_list_tests names them");
  if (is_verbose)
    for (const LeftOut& one : suite.left_out) fmt::print(stderr, "attnlab: left out: {}: {}\n", one.name, one.reason);

  Outcome outcome;
  outcome.environment = experiment::read_environment(threads(), plugin_files(registry));
  if (!flags.is_set("list_tests")) {
    outcome.environment.roof.include(experiment::measure_roof(threads(), kRoofSeconds));
    add_context(outcome.environment, suite);
  }
  const experiment::Roof& roof = outcome.environment.roof;
  const bool gives_all = flags.value("format") == "csv" || flags.value("out_format") == "csv";
  Stage stage(registry,
              {.fma_flops_per_second = roof.best.fma_flops_per_second,
               .read_bytes_per_second = roof.best.read_bytes_per_second,
               .cached_bytes = report::kCachesHold * static_cast<double>(outcome.environment.caches.l3_bytes)},
              gives_all);
  for (const Entry& entry : suite.entries)
    benchmark::RegisterBenchmark(entry.name().c_str(), [&](benchmark::State& state) {
      stage.run(state, entry);
    })->UseRealTime();
  run_selected(outcome.environment, flags);
  benchmark::ClearRegisteredBenchmarks();
  benchmark::Shutdown();
  outcome.all_well = stage.all_well();
  return outcome;
}

}  // namespace attnlab::bench

#include "bench/study.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <regex>
#include <tuple>

#include <attnlab/error.h>

#include "base/sha256.h"
#include "bench/suite.h"
#include "report/pages/results_folder.h"
#include "report/read/study_layout.h"
#include "report/read/text_file.h"
#include "report/read/trial_result.h"

namespace attnlab::bench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A benchmark's name, taken apart.
struct Name {
  std::string subject, id, head_dim, context, phase;
  [[nodiscard]] std::string case_name() const {
    return fmt::format("head_dim:{} context:{} {}", head_dim, context, phase);
  }
};

std::optional<Name> parse(const std::string& text) {
  static const std::regex pattern(
      R"((attention|position|cache|storage|core)/(.+)/head_dim:(\d+)/context:(\d+)/(prefill|decode|backward)(/real_time)?)");
  std::smatch found;
  if (!std::regex_match(text, found, pattern)) return std::nullopt;
  return Name{found[1], found[2], found[3], found[4], found[5]};
}

double seconds_of(const json& run) {
  static const std::map<std::string, double> units{{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
  return run.at("real_time").get<double>() * units.at(run.at("time_unit").get<std::string>());
}

std::string plain_name() {
  return fmt::format("{}/{}/{}", kPlain[0], kPlain[1], kPlain[2]);
}

// The arm that a benchmark measures: the plain one where the component is the plain one of its kind.
report::ArmLayout arm_of(const Name& name, const std::vector<std::string>& ambiguous) {
  report::ArmLayout arm{.name = name.id, .attention = kPlain[0], .position = kPlain[1], .cache = kPlain[2]};
  arm.tags = {name.subject};
  if (name.subject == subject_name(Subject::core)) {
    arm = {.name = "core " + name.id, .attention = name.id, .position = "-", .cache = "-", .tags = arm.tags};
    return arm;
  }
  constexpr const char* subjects[] = {"attention", "position", "cache", "storage"};
  const auto subject = std::ranges::find(subjects, name.subject) - std::begin(subjects);
  if (name.id == kPlain[subject])
    arm.name = plain_name();
  else if (std::ranges::find(ambiguous, name.id) != ambiguous.end())
    arm.name = name.subject + " " + name.id;
  if (subject == 0) arm.attention = name.id;
  if (subject == 1) arm.position = name.id;
  if (subject == 2) arm.cache = name.id;
  if (subject == 3 && name.id != kPlain[3]) arm.cache = fmt::format("{} ({})", kPlain[2], name.id);
  return arm;
}

struct Figure {
  const char* counter;
  const char* metric;  // {} stands for the phase
  const char* unit;
  const char* better;
  bool is_deterministic = false;
};
constexpr Figure kFigures[] = {
    {"tokens/s", "{}_tokens_per_second", "tokens/s", "higher"},
    {"GFLOP/s", "gflops_per_second", "GFLOP/s", "higher"},
    {"GB/s", "gbytes_per_second", "GB/s", "higher"},
    {"fma_share", "share_of_fma_peak", "share", "higher"},
    {"bandwidth_share", "share_of_read_bandwidth", "share", "higher"},
    {"kv_bytes", "kv_bytes_allocated", "bytes", "lower", true},
    {"bytes_per_token", "bytes_per_token", "bytes", "lower", true},
    {"kv_bytes_per_token", "kv_bytes_per_token", "bytes", "lower", true},
};

report::TrialResult trial_of(const json& run, const Name& name, const report::ArmLayout& arm) {
  report::TrialResult trial{.arm = arm.name,
                            .attention = arm.attention,
                            .position = arm.position,
                            .cache = arm.cache,
                            .workload = name.subject,
                            .case_name = name.case_name(),
                            .round = run.value("repetition_index", 0),
                            .seed = 1};
  trial.id =
      experiment::sha256_of_text(run.at("name").get<std::string>() + "#" + std::to_string(trial.round)).substr(0, 16);
  if (run.value("error_occurred", false)) {
    trial.status = "failed";
    trial.reason = run.value("error_message", "");
    return trial;
  }
  trial.samples.push_back({"seconds", "s", "lower", seconds_of(run)});
  for (const Figure& figure : kFigures)
    if (const auto value = run.find(figure.counter); value != run.end() && value->is_number())
      trial.samples.push_back({fmt::format(fmt::runtime(figure.metric), name.phase), figure.unit, figure.better,
                               value->get<double>(), figure.is_deterministic});
  trial.details["label"] = run.value("label", "");
  return trial;
}

// Ids that plugins of two kinds share.
std::vector<std::string> ambiguous_ids(const json& runs) {
  std::map<std::string, std::string> subject_of;
  std::vector<std::string> found;
  for (const json& run : runs)
    if (const auto name = parse(run.at("run_name")))
      if (const auto [entry, is_new] = subject_of.emplace(name->id, name->subject);
          !is_new && entry->second != name->subject)
        found.push_back(name->id);
  return found;
}

void add_warnings(report::StudyLayout& layout, const std::vector<report::TrialResult>& trials) {
  layout.warnings.emplace_back(
      "All repetitions ran in one process: the intervals do not cover how layers lie in memory from process to "
      "process.");
  if (std::ranges::any_of(
          trials, [](const report::TrialResult& trial) { return trial.workload == subject_name(Subject::cache); }))
    layout.warnings.push_back(fmt::format(
        "Cache policies that have a budget keep {} rows of a kv head, on average over the steps that are timed.",
        kBudgetRows));
  const auto resident = std::ranges::count_if(trials, [](const report::TrialResult& trial) {
    return trial.details.value("label", "").starts_with("cache-resident");
  });
  if (resident > 0)
    layout.warnings.push_back(
        fmt::format("{} of {} trials go over less memory than four times the L3, which may serve them: no share of "
                    "the read bandwidth.",
                    resident, trials.size()));
}

}  // namespace

json read_benchmarks(const fs::path& file) {
  json benchmarks = report::read_json(file);
  const auto context = benchmarks.find("context");
  const auto runs = benchmarks.find("benchmarks");
  if (context == benchmarks.end() || !context->contains("attnlab_revision") || runs == benchmarks.end() ||
      runs->empty())
    throw Error(file.string(), "holds no benchmarks of AttnLab",
                "name a file that attnlab bench --benchmark_out=FILE wrote");
  return benchmarks;
}

experiment::Environment environment_of(const json& benchmarks) {
  const json& context = benchmarks.at("context");
  const auto text = [&](const char* key) { return context.value(key, ""); };
  const auto number = [&](const char* key) { return std::strtod(text(key).c_str(), nullptr); };
  experiment::Environment environment;
  environment.cpu = text("cpu");
  environment.simd_target = text("simd_target");
  environment.logical_cores = context.value("num_cpus", 0);
  environment.threads = static_cast<int>(number("threads"));
  environment.caches.l3_bytes = static_cast<std::int64_t>(number("l3_bytes"));
  environment.caches.source = "benchmark context";
  environment.build.git_revision = text("attnlab_revision");
  if (const auto load = context.value("load_avg", std::vector<double>()); load.size() == 3)
    std::ranges::copy(load, environment.load_average.begin());
  environment.roof.include({.fma_flops_per_second = number("fma_flops_per_second"),
                            .read_bytes_per_second = number("read_bytes_per_second")});
  return environment;
}

fs::path make_study_folder(const fs::path& folder) {
  const fs::path made = !folder.empty() ? folder
                                        : fs::path("results") / "bench" /
                                              fmt::format("{:%Y-%m-%dT%H-%M-%S}", fmt::localtime(std::time(nullptr)));
  std::error_code error;
  if (fs::exists(made, error) && !(fs::is_directory(made, error) && fs::is_empty(made, error)))
    throw Error(made.string(), "the results folder is not empty", "name another with -o");
  fs::create_directories(made / "trials", error);
  if (error) throw Error(made.string(), "the results folder cannot be made: " + error.message());
  return made;
}

void write_study(const json& benchmarks, const experiment::Environment& environment, const fs::path& folder) {
  report::StudyLayout layout{.name = "kernels",
                             .question =
                                 "How fast is every loaded plugin by itself, in one layer, and how near to the "
                                 "machine's roof?",
                             .seeds = {1}};
  std::vector<report::TrialResult> trials;
  const json& runs = benchmarks.at("benchmarks");
  const std::vector<std::string> ambiguous = ambiguous_ids(runs);
  for (const json& run : runs) {
    const auto name = parse(run.at("run_name"));
    if (!name || run.value("run_type", "iteration") != "iteration") continue;  // mean, median ...: reports make them
    const report::ArmLayout arm = arm_of(*name, ambiguous);
    auto known = std::ranges::find(layout.arms, arm.name, &report::ArmLayout::name);
    if (known == layout.arms.end()) {
      layout.arms.push_back(arm);
    } else if (std::ranges::find(known->tags, name->subject) == known->tags.end()) {
      known->tags.push_back(name->subject);
    }
    const report::CaseLayout entry{name->subject,
                                   name->case_name(),
                                   {{"context", std::stod(name->context)}, {"head_dim", std::stod(name->head_dim)}}};
    if (std::ranges::find(layout.cases, entry) == layout.cases.end()) layout.cases.push_back(entry);
    trials.push_back(trial_of(run, *name, arm));
    layout.trials.push_back(trials.back().id);
    layout.rounds = std::max(layout.rounds, trials.back().round + 1);
  }
  if (trials.empty())
    throw Error("", "no benchmark of the file is one that ran",
                "repetitions must not be reported as aggregates only (--benchmark_report_aggregates_only)");
  // Repetitions come in random order: tables are by subject, then by name.
  std::ranges::sort(layout.arms, {},
                    [](const report::ArmLayout& arm) { return std::pair(arm.tags.front(), arm.name); });
  std::ranges::sort(layout.cases, {}, [](const report::CaseLayout& entry) {
    const std::string_view pass = std::string_view(entry.case_name).substr(entry.case_name.rfind(' ') + 1);
    const auto place = pass == pass_name(Pass::prefill) ? 0 : pass == pass_name(Pass::decode) ? 1 : 2;
    return std::tuple(entry.workload, place, entry.numbers.at("head_dim"), entry.numbers.at("context"));
  });
  const auto plain = std::ranges::find(layout.arms, plain_name(), &report::ArmLayout::name);
  if (plain != layout.arms.end()) std::rotate(layout.arms.begin(), plain, plain + 1);
  layout.baseline = layout.arms.front().name;
  add_warnings(layout, trials);

  fs::create_directories(folder / "trials");
  for (const report::TrialResult& trial : trials) report::write_trial(folder / "trials", trial);
  json described = environment;
  described["study"] = layout;
  report::write_atomically(folder / "environment.json", report::json_text(described));
  report::write_reports(folder);
}

}  // namespace attnlab::bench

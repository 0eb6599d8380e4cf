#include "experiment/runner.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include <attnlab/error.h>

#include "config/yaml_writer.h"
#include "experiment/environment.h"
#include "experiment/memory.h"
#include "experiment/progress.h"
#include "experiment/trial_process.h"
#include "report/results_folder.h"
#include "report/study_layout.h"
#include "report/terminal_table.h"
#include "report/text_file.h"

namespace attnlab::experiment {
namespace fs = std::filesystem;
namespace {

constexpr double kFirstProbeSeconds = 0.8;
constexpr double kLaterProbeSeconds = 0.25;
constexpr std::chrono::seconds kProbeInterval{15};

fs::path results_folder(const Plan& plan, const RunOptions& options) {
  if (!options.folder.empty()) return options.folder;
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fs::path("results") / plan.spec.name / fmt::format("{:%Y-%m-%dT%H-%M-%S}", fmt::localtime(now));
}

void make_folder(const fs::path& folder, bool resume) {
  std::error_code error;
  if (fs::exists(folder, error)) {
    if (!fs::is_directory(folder, error)) throw Error(folder.string(), "is there and is no folder");
    if (!resume && !fs::is_empty(folder, error))
      throw Error(folder.string(), "the results folder is not empty", "name another with -o, or continue with --resume");
  }
  fs::create_directories(folder / "trials", error);
  if (error) throw Error(folder.string(), "the results folder cannot be made: " + error.message());
}

report::StudyLayout layout_of(const Plan& plan) {
  report::StudyLayout layout;
  layout.name = plan.spec.name;
  layout.question = plan.spec.question;
  layout.rounds = plan.spec.repeats.max;
  layout.baseline = plan.arms[plan.spec.baseline].arm.name;
  layout.warnings = plan.warnings;
  for (const PlannedArm& arm : plan.arms)
    layout.arms.push_back({.name = arm.arm.name,
                           .attention = component_text(arm.arm.attention),
                           .position = component_text(arm.arm.position),
                           .cache = component_text(arm.arm.cache),
                           .notes = arm.notes,
                           .refused = arm.refused});
  for (const PlannedCase& planned : plan.cases) layout.cases.push_back({planned.workload_name, planned.label});
  for (const PlannedArm& arm : plan.arms)
    for (const PlannedCase& planned : plan.cases)
      for (int round = 0; round < (planned.deterministic ? 1 : plan.spec.repeats.max); ++round)
        if (arm.refused.empty()) layout.trials.push_back(trial_id(plan, arm, planned, plan.spec.seed, round));
  return layout;
}

class Run {
 public:
  Run(const Plan& plan, const RunOptions& options)
      : plan_(plan),
        folder_(results_folder(plan, options)),
        progress_(planned_trials(plan)),
        resumes_(options.resume) {
    make_folder(folder_, options.resume);
    if (options.resume)
      for (const report::TrialResult& done : report::read_trials(folder_ / "trials"))
        if (done.is_ok()) done_.insert(done.id);
  }

  bool execute() {
    report::write_atomically(folder_ / "plan.yaml", config::to_yaml(plan_json(plan_)));
    environment_ = read_environment(plan_.threads, plugin_files());
    // A run that goes on keeps the roof that was found before: most of its trials may have been measured then.
    if (resumes_) environment_.roof = earlier_roof();
    write_environment();
    std::mt19937_64 random(static_cast<std::uint64_t>(plan_.spec.seed));
    for (int round = 0; round < plan_.spec.repeats.max; ++round) {
      if (!has_trials(round)) continue;
      std::vector<std::size_t> order(plan_.arms.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::shuffle(order.begin(), order.end(), random);
      for (const std::size_t arm : order) run_arm(arm, round);
    }
    processes_.clear();
    progress_.finish();
    write_environment();
    report::write_reports(folder_);
    fmt::print("{}", report::terminal_table(report::read_results(folder_)));
    fmt::print("report: {}\n", (folder_ / "report.md").string());
    return !failed_;
  }

 private:
  Roof earlier_roof() const {
    const fs::path path = folder_ / "environment.json";
    std::error_code error;
    if (!fs::exists(path, error)) return {};
    try {
      return report::read_json(path).at("roof").get<Roof>();
    } catch (const std::exception&) {  // of another version: measured anew
      return {};
    }
  }

  static std::size_t planned_trials(const Plan& plan) {
    std::size_t count = 0;
    for (const PlannedArm& arm : plan.arms)
      for (const PlannedCase& planned : plan.cases)
        if (arm.refused.empty()) count += planned.deterministic ? 1 : plan.spec.repeats.max;
    return count;
  }

  bool has_trials(int round) const {
    return round == 0 || std::any_of(plan_.cases.begin(), plan_.cases.end(),
                                     [](const PlannedCase& planned) { return !planned.deterministic; });
  }

  std::vector<fs::path> plugin_files() const {
    std::set<fs::path> files;
    for (const PlannedArm& arm : plan_.arms)
      for (const ResolvedLayer& layer : arm.resolved.layers)
        for (const ResolvedComponent* component : {&layer.attention, &layer.position, &layer.cache})
          files.insert(component->descriptor->file);
    return {files.begin(), files.end()};
  }

  void write_environment() const {
    nlohmann::json json = environment_;
    json["study"] = layout_of(plan_);
    report::write_atomically(folder_ / "environment.json", report::json_text(json));
  }

  void run_arm(std::size_t arm, int round) {
    const PlannedArm& planned = plan_.arms[arm];
    if (!planned.refused.empty()) return;
    for (std::size_t index = 0; index < plan_.cases.size(); ++index) {
      if (plan_.cases[index].deterministic && round > 0) continue;
      report::TrialResult frame = trial_frame(plan_, arm, index, round);
      progress_.start(planned.arm.name, plan_.cases[index].workload_name + " " + plan_.cases[index].label, round,
                      plan_.spec.repeats.max);
      if (done_.contains(frame.id)) {
        progress_.end("done before");
        continue;
      }
      probe_roof();
      std::string death = planned.failed;
      if (death.empty()) death = process(arm).run(index, round);
      if (!death.empty()) {
        processes_.erase(arm);
        frame.status = "failed";
        frame.reason = death;
        report::write_trial(folder_ / "trials", frame);
      }
      const nlohmann::json written = report::read_json(folder_ / "trials" / (frame.id + ".json"));
      const std::string status = written.at("status");
      failed_ = failed_ || status != "ok";
      progress_.end(status == "ok" ? "ok" : status + ": " + written.at("reason").get<std::string>());
    }
    if (!keeps_processes()) processes_.erase(arm);
  }

  // Before the first trial, and again from time to time: other users of the machine can only lower a probe. The
  // processes of the arms are idle meanwhile.
  void probe_roof() {
    const auto now = std::chrono::steady_clock::now();
    const bool first = environment_.roof.probes.empty();
    if (!first && now - probed_ < kProbeInterval) return;
    environment_.roof.include(measure_roof(plan_.threads, first ? kFirstProbeSeconds : kLaterProbeSeconds));
    write_environment();
    probed_ = std::chrono::steady_clock::now();
  }

  // Idle processes hold their weights: they stay where all of them fit in half of the memory.
  bool keeps_processes() const {
    std::size_t sum = 0;
    for (const PlannedArm& arm : plan_.arms) sum += arm.weight_bytes;
    return sum < static_cast<std::size_t>(total_memory_bytes()) / 2;
  }

  TrialProcess& process(std::size_t arm) {
    auto& process = processes_[arm];
    if (process == nullptr) process = std::make_unique<TrialProcess>(plan_, arm, folder_ / "trials");
    return *process;
  }

  const Plan& plan_;
  fs::path folder_;
  Environment environment_;
  Progress progress_;
  bool resumes_;
  std::set<std::string> done_;  // ids of trials that a run before this one has finished
  std::map<std::size_t, std::unique_ptr<TrialProcess>> processes_;
  std::chrono::steady_clock::time_point probed_;
  bool failed_ = false;
};

}  // namespace

bool run(const Plan& plan, const RunOptions& options) { return Run(plan, options).execute(); }

}  // namespace attnlab::experiment

#include "runner/runner.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <set>
#include <span>

#include <attnlab/error.h>
#include <attnlab/random.h>

#include "config/yaml_writer.h"
#include "machine/environment.h"
#include "machine/proc_files.h"
#include "report/pages/results_folder.h"
#include "report/pages/terminal_table.h"
#include "report/read/format.h"
#include "report/read/text_file.h"
#include "report/summary/stopping.h"
#include "runner/disturbance.h"
#include "runner/interrupt.h"
#include "runner/progress.h"
#include "runner/roof_process.h"
#include "runner/run_folder.h"
#include "runner/together.h"
#include "runner/training_runner.h"
#include "runner/trial_runner.h"
#include "runner/warmup.h"
#include "study/planned_study.h"

namespace attnlab::experiment {
namespace fs = std::filesystem;
namespace {

constexpr double kFirstProbeSeconds = 0.8;
constexpr double kLaterProbeSeconds = 0.25;
constexpr std::chrono::minutes kProbeInterval{10};
constexpr std::chrono::seconds kLeastProbeGap{60};  // a probe takes a second or two, most of it to get its memory
// After so many repeated rounds that were disturbed again, the machine is as it is, and repeating only takes time.
constexpr int kVainRepeats = 2;

class Run {
 public:
  Run(const Plan& plan, const RunOptions& options)
      : plan_(plan),
        options_(options),
        folder_(options.folder, plan.spec.name, options.resume),
        progress_(options.quiet),
        trials_(plan, folder_.trials(), folder_.superseded(), progress_),
        layout_(layout_of(plan, plan.spec.repeats.max)) {}

  RunOutcome execute() {
    environment_ = read_environment(plan_.threads, plugin_files());
    warmup_.most = plan_.spec.warmup;
    for (const std::string& warning : plan_.warnings) progress_.say("warning: " + warning);
    trials_.keep_refusals();
    if (options_.resume) go_on_from_earlier();
    TrainingRunner trainings(plan_, folder_.path(), trials_, progress_);
    trainings.expect();
    expect_trials();
    report::write_atomically(folder_.path() / "plan.yaml", config::to_yaml(plan_json(plan_)));
    write_environment();
    if (!plan_.trainings.empty()) {
      probe_roof(kFirstProbeSeconds);
      write_environment();
      trainings.run();
    }
    run_deterministic_cases();
    run_rounds();
    return finish();
  }

 private:
  void go_on_from_earlier() {
    trials_.take_done_trials();
    if (const auto earlier = folder_.earlier_environment()) {
      try {
        take(*earlier);
      } catch (const nlohmann::json::exception&) {  // of another version: measured anew
      }
    }
    progress_.say(fmt::format("resuming: {} were done before", trials_so_far()));
  }

  // "3 of 14 trials"; the row of a case that is refused is no trial.
  std::string trials_so_far() const {
    const auto refused = static_cast<std::size_t>(
        std::ranges::count_if(trials_.results(), [](const auto& one) { return one.second.status == "refused"; }));
    return fmt::format("{} of {} trials", trials_.results().size() - refused, layout_.trials.size() - refused);
  }

  // Most of the trials may have been measured under the roof and in the rounds of the run before.
  void take(const nlohmann::json& earlier) {
    for (const std::string& line : changes(earlier.at("study").get<report::StudyLayout>(), layout_))
      progress_.say(line);
    environment_.roof = earlier.at("roof").get<Roof>();
    rounds_ = earlier.value("rounds", std::vector<RoundRecord>());
    warmup_ = earlier.value("warmup", warmup_);
    const auto seconds = earlier.value("attnlab_seconds", nlohmann::json::object());
    earlier_total_ = seconds.value("total", 0.0);
    earlier_measured_ = seconds.value("measured", 0.0);
  }

  bool is_timed(std::size_t planned_case) const { return plan_.cases[planned_case].is_timed; }

  // Cases that are still to be measured of an arm that runs.
  ProcessTask task_for(std::size_t arm, std::int64_t seed, int round, bool deterministic) const {
    ProcessTask task{arm, seed, round, {}};
    for (std::size_t index = 0; index < plan_.cases.size(); ++index)
      if (index != plan_.train_case() && plan_.arms[arm].runs(index) &&
          plan_.cases[index].deterministic == deterministic && !trials_.is_done(arm, index, seed, round))
        task.cases.push_back(index);
    return task;
  }

  // Every arm with every seed that has something left to do, in the order of this round: the seed of the study decides.
  std::vector<ProcessTask> tasks_of_round(int round) const {
    std::vector<ProcessTask> tasks;
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
      for (const std::int64_t seed : plan_.spec.seeds) tasks.push_back(task_for(arm, seed, round, false));
    SplitMix64(static_cast<std::uint64_t>(plan_.spec.seed), static_cast<std::uint64_t>(round)).shuffle(tasks);
    std::erase_if(tasks, [](const ProcessTask& task) { return task.cases.empty(); });
    return tasks;
  }

  std::string title(std::size_t planned_case) const {
    return report::case_title({plan_.cases[planned_case].workload_name, plan_.cases[planned_case].label});
  }

  std::string seed_text(const ProcessTask& task) const {
    return plan_.spec.seeds.size() > 1 ? fmt::format("  seed {}", task.seed) : "";
  }

  void expect(const std::vector<ProcessTask>& tasks, int sign = 1) {
    for (const ProcessTask& task : tasks)
      for (const std::size_t index : task.cases) progress_.expect(title(index), sign);
  }

  void expect_trials() {
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
      for (const std::int64_t seed : plan_.spec.seeds) expect({task_for(arm, seed, 0, true)});
    for (int round = 0; round < plan_.spec.repeats.max; ++round) expect(tasks_of_round(round));
  }

  // Quality and the like, which no repetition changes. The others are compared with the baseline's predictions, so
  // what fails of the baseline is tried twice.
  void run_deterministic_cases() {
    std::vector<std::size_t> arms{plan_.spec.baseline};
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
      if (arm != plan_.spec.baseline) arms.push_back(arm);
    for (const std::int64_t seed : plan_.spec.seeds)
      for (const std::size_t arm : arms)
        for (int attempt = 1; attempt <= (arm == plan_.spec.baseline ? 2 : 1); ++attempt)
          if (const ProcessTask task = task_for(arm, seed, 0, true); !task.cases.empty() && !trials_.must_stop())
            trials_.run({&task, 1}, (attempt == 1 ? "once" : "once again") + seed_text(task));
  }

  void run_rounds() {
    const Repeats& repeats = plan_.spec.repeats;
    bool has_begun = false;
    for (int round = 0; round < repeats.max && !trials_.must_stop(); ++round) {
      const std::vector<ProcessTask> tasks = tasks_of_round(round);
      if (!tasks.empty()) {
        if (!std::exchange(has_begun, true)) begin_rounds(tasks);
        if (round == repeats.max / 2) probe_roof(kLaterProbeSeconds);
        run_round(tasks, round);
        write_environment();
      }
      if (repeats.until > 0 && round + 1 >= repeats.min && !trials_.must_stop() && ends_behind(round)) return;
    }
    if (has_begun) probe_roof(kLaterProbeSeconds);
  }

  void begin_rounds(const std::vector<ProcessTask>& tasks) {
    if (environment_.roof.probes.empty()) probe_roof(kFirstProbeSeconds);
    warm_up(tasks);
    write_environment();
  }

  // The timed cases of every arm that the first round will run, with one seed. What does not end well is left to
  // that round, where it is a row.
  void warm_up(std::vector<ProcessTask> tasks) {
    for (ProcessTask& task : tasks) std::erase_if(task.cases, [&](std::size_t index) { return !is_timed(index); });
    std::erase_if(tasks, [&](const ProcessTask& task) { return task.cases.empty() || task.seed != plan_.spec.seed; });
    warmup_ = {.most = plan_.spec.warmup};
    if (tasks.empty()) return;
    WarmupRound before;
    while (warmup_.rounds < warmup_.most && !warmup_.agreed && !tasks.empty() && !trials_.must_stop()) {
      WarmupRound round;
      const std::string stage = fmt::format("warm-up {}/{}", warmup_.rounds + 1, warmup_.most);
      for (ProcessTask& task : tasks) {
        std::vector<std::size_t> sound;
        const std::vector<report::TrialResult> trials = trials_.run_discarded(task, stage);
        for (std::size_t i = 0; i < trials.size(); ++i) {
          add_throughputs(round, trials[i]);
          if (trials[i].is_ok()) sound.push_back(task.cases[i]);
        }
        task.cases = std::move(sound);
      }
      std::erase_if(tasks, [](const ProcessTask& task) { return task.cases.empty(); });
      if (warmup_.rounds++ > 0) {
        const Agreement agreement = compare(before, round);
        warmup_.difference = agreement.difference;
        warmup_.agreed = agreement.agrees();
      }
      before = std::move(round);
    }
  }

  // A disturbed round is measured a second time, and the quieter attempt counts, as a whole.
  void run_round(const std::vector<ProcessTask>& tasks, int round) {
    attempt(tasks, round, 1);
    if (!rounds_.back().disturbed || vain_repeats_ == kVainRepeats || trials_.must_stop()) return;
    const std::vector<ProcessTask> sound = that_went_well(tasks);
    const bool has_timed = std::any_of(sound.begin(), sound.end(), [&](const ProcessTask& task) {
      return std::any_of(task.cases.begin(), task.cases.end(), [&](std::size_t index) { return is_timed(index); });
    });
    if (!has_timed) return;
    const std::size_t first = rounds_.size() - 1;
    rounds_[first].repeated = true;
    expect(sound);
    attempt(sound, round, 2);
    RoundRecord& second = rounds_.back();
    const bool is_whole = !trials_.must_stop();
    second.counts = is_whole && is_quieter(second, rounds_[first]);
    rounds_[first].counts = !second.counts;
    trials_.settle(second.counts);
    vain_repeats_ = second.disturbed ? vain_repeats_ + 1 : 0;
  }

  std::vector<ProcessTask> that_went_well(std::vector<ProcessTask> tasks) const {
    for (ProcessTask& task : tasks)
      std::erase_if(task.cases,
                    [&](std::size_t index) { return !trials_.went_well(task.arm, index, task.seed, task.round); });
    std::erase_if(tasks, [](const ProcessTask& task) { return task.cases.empty(); });
    return tasks;
  }

  void attempt(const std::vector<ProcessTask>& tasks, int round, int number) {
    const DisturbanceWatch watch;
    const std::string stage =
        fmt::format("round {}/{}{}", round + 1, plan_.spec.repeats.max, number > 1 ? " again" : "");
    for (std::span<const ProcessTask> left = tasks; !left.empty() && !trials_.must_stop();) {
      if (std::chrono::steady_clock::now() - probed_ > kProbeInterval) probe_roof(kLaterProbeSeconds);
      const std::span<const ProcessTask> together = left.first(measured_together(plan_, left));
      left = left.subspan(together.size());
      const std::string of = stage + (together.size() == 1 ? seed_text(together.front()) : "");
      if (number == 1)
        trials_.run(together, of);
      else
        trials_.run_again(together, of);
    }
    rounds_.push_back(watch.record(round, number));
  }

  // Adaptive repeats: whether the results that exist after this round are enough.
  bool ends_behind(int round) {
    const Repeats& repeats = plan_.spec.repeats;
    report::StudyLayout layout = layout_of(plan_, round + 1);
    std::vector<report::TrialResult> trials;
    for (const std::string& id : layout.trials)
      if (const auto found = trials_.results().find(id); found != trials_.results().end())
        trials.push_back(found->second);
    const report::Summary summary = report::summarise(report::completed(layout, trials), trials);
    const bool narrow = report::is_narrow_enough(summary, repeats.until);
    if (!narrow && round + 1 < repeats.max) return false;
    const std::string widest = report::widest_interval(summary);
    layout.stopped = fmt::format(
        "{} after {} of at most {} rounds{}",
        narrow ? fmt::format("every interval was within +- {:.3g} %", 100 * repeats.until) : "the most rounds were run",
        round + 1, repeats.max, widest.empty() ? "" : ": " + widest);
    for (int later = round + 1; later < repeats.max; ++later) expect(tasks_of_round(later), -1);
    layout_ = std::move(layout);
    probe_roof(kLaterProbeSeconds);
    return true;
  }

  // Other users of the machine can only lower a probe, so there are several; only where speed is measured.
  void probe_roof(double seconds) {
    bool has_timed = !plan_.trainings.empty();
    for (std::size_t index = 0; index < plan_.cases.size(); ++index) has_timed = has_timed || is_timed(index);
    const auto now = std::chrono::steady_clock::now();
    const bool is_first = environment_.roof.probes.empty();
    if (!has_timed || interrupted() != 0 || (!is_first && now - probed_ < kLeastProbeGap)) return;
    environment_.roof.include(measure_roof_apart(plan_.threads, seconds));
    probed_ = std::chrono::steady_clock::now();
  }

  RunOutcome finish() {
    RunOutcome outcome{!trials_.has_failed(), interrupted()};
    const std::string how = outcome.interrupted != 0 ? fmt::format("interrupted ({})", strsignal(outcome.interrupted))
                            : trials_.must_stop()    ? "on_error: stop, and a trial did not end well"
                                                     : "";
    if (!how.empty()) layout_.stopped = fmt::format("{}: {} were run; `run --resume` goes on", how, trials_so_far());
    progress_.finish();
    folder_.clear();
    write_environment();
    const report::Results results = report::write_reports(folder_.path());
    const std::string path = (folder_.path() / "report.md").string();
    if (options_.quiet)
      fmt::print("{}\n", path);
    else
      fmt::print("{}report: {}\n", report::terminal_table(results), path);
    write_environment();  // what the reports took is time of AttnLab too
    return outcome;
  }

  std::vector<fs::path> plugin_files() const {
    std::set<fs::path> files;
    for (const PlannedArm& arm : plan_.arms)
      for (const ResolvedLayer& layer : arm.resolved.layers)
        for (const Descriptor* component : layer.descriptors()) files.insert(component->file);
    return {files.begin(), files.end()};
  }

  void write_environment() const {
    nlohmann::json json = environment_;
    json["study"] = layout_;
    json["rounds"] = rounds_;
    json["warmup"] = warmup_;
    json["attnlab_seconds"] = {{"total", earlier_total_ + process_age_seconds()},
                               {"measured", earlier_measured_ + trials_.measured_seconds()}};
    report::write_atomically(folder_.path() / "environment.json", report::json_text(json));
  }

  const Plan& plan_;
  const RunOptions& options_;
  const InterruptGuard guard_;
  RunFolder folder_;
  Progress progress_;
  TrialRunner trials_;
  report::StudyLayout layout_;
  Environment environment_;
  WarmupRecord warmup_;
  std::vector<RoundRecord> rounds_;
  std::chrono::steady_clock::time_point probed_ = std::chrono::steady_clock::now();
  int vain_repeats_ = 0;
  double earlier_total_ = 0, earlier_measured_ = 0;
};

}  // namespace

RunOutcome run(const Plan& plan, const RunOptions& options) {
  return Run(plan, options).execute();
}

}  // namespace attnlab::experiment

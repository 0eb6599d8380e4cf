#include "runner/runner.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <optional>

#include <attnlab/error.h>

#include "config/yaml_writer.h"
#include "machine/environment.h"
#include "machine/proc_files.h"
#include "report/pages/results_folder.h"
#include "report/pages/terminal_table.h"
#include "report/read/format.h"
#include "report/read/text_file.h"
#include "runner/enough_rounds.h"
#include "runner/interrupt.h"
#include "runner/progress.h"
#include "runner/roof_probes.h"
#include "runner/rounds.h"
#include "runner/run_folder.h"
#include "runner/training_runner.h"
#include "runner/trial_runner.h"
#include "study/planned_study.h"

namespace attnlab::experiment {
namespace fs = std::filesystem;
namespace {

class Run {
 public:
  Run(const Plan& plan, const RunOptions& options)
      : plan_(plan),
        options_(options),
        folder_(options.folder, plan.spec.name, options.resume),
        progress_(options.quiet),
        trials_(plan, folder_.trials(), folder_.superseded(), progress_),
        layout_(layout_of(plan, plan.spec.repeats.max)),
        roofs_(plan),
        rounds_(plan, trials_, roofs_, progress_) {}

  RunOutcome execute() {
    environment_ = read_environment(plan_.threads, plugin_files(plan_));
    for (const std::string& warning : plan_.warnings) progress_.say("warning: " + warning);
    trials_.keep_refusals();
    if (options_.resume) go_on_from_earlier();
    TrainingRunner trainings(plan_, folder_.path(), trials_, progress_);
    trainings.expect();
    expect_trials();
    report::write_atomically(folder_.path() / "plan.yaml", config::to_yaml(plan_json(plan_)));
    write_environment();
    if (!plan_.trainings.empty()) {
      roofs_.probe_first();
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
    roofs_.take(earlier.at("roof").get<Roof>());
    rounds_.take(earlier.value("rounds", std::vector<RoundRecord>()), earlier.value("warmup", rounds_.warmup()));
    const auto seconds = earlier.value("attnlab_seconds", nlohmann::json::object());
    earlier_total_ = seconds.value("total", 0.0);
    earlier_measured_ = seconds.value("measured", 0.0);
  }

  void expect_trials() {
    for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm)
      for (const std::int64_t seed : plan_.spec.seeds) rounds_.expect({rounds_.task_for(arm, seed, 0, true)});
    for (int round = 0; round < plan_.spec.repeats.max; ++round) rounds_.expect(rounds_.tasks_of(round));
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
          if (const ProcessTask task = rounds_.task_for(arm, seed, 0, true);
              !task.cases.empty() && !trials_.must_stop())
            trials_.run({&task, 1}, (attempt == 1 ? "once" : "once again") + rounds_.seed_text(task));
  }

  void run_rounds() {
    const Repeats& repeats = plan_.spec.repeats;
    bool has_begun = false;
    for (int round = 0; round < repeats.max && !trials_.must_stop(); ++round) {
      const std::vector<ProcessTask> tasks = rounds_.tasks_of(round);
      if (!tasks.empty()) {
        if (!std::exchange(has_begun, true)) begin_rounds(tasks);
        if (round == repeats.max / 2) roofs_.probe();
        rounds_.run(tasks, round);
        write_environment();
      }
      if (!trials_.must_stop() && ends_behind(round)) return;
    }
    if (has_begun) roofs_.probe();
  }

  void begin_rounds(const std::vector<ProcessTask>& tasks) {
    roofs_.probe_first();
    rounds_.warm_up(tasks);
    write_environment();
  }

  // Whether the results that exist after this round are enough.
  bool ends_behind(int round) {
    const std::optional<std::string> enough = enough_rounds(plan_, trials_.results(), round + 1);
    if (!enough) return false;
    for (int later = round + 1; later < plan_.spec.repeats.max; ++later) rounds_.expect(rounds_.tasks_of(later), -1);
    layout_ = layout_of(plan_, round + 1);
    layout_.stopped = *enough;
    roofs_.probe();
    return true;
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

  void write_environment() const {
    nlohmann::json json = environment_;
    json["roof"] = roofs_.roof();
    json["study"] = layout_;
    json["rounds"] = rounds_.records();
    json["warmup"] = rounds_.warmup();
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
  RoofProbes roofs_;
  Rounds rounds_;
  double earlier_total_ = 0, earlier_measured_ = 0;
};

}  // namespace

RunOutcome run(const Plan& plan, const RunOptions& options) {
  return Run(plan, options).execute();
}

}  // namespace attnlab::experiment

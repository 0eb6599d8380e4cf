#include "cluster/cluster_run.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "cluster/earlier_jobs.h"
#include "cluster/job_arrays.h"
#include "cluster/nodes_of_study.h"
#include "cluster/round_folder.h"
#include "cluster/slurm.h"
#include "cluster/submit.h"
#include "cluster/watch.h"
#include "config/yaml_writer.h"
#include "machine/environment.h"
#include "report/pages/results_folder.h"
#include "report/pages/terminal_table.h"
#include "report/read/format.h"
#include "report/read/text_file.h"
#include "runner/enough_rounds.h"
#include "runner/interrupt.h"
#include "runner/progress.h"
#include "runner/run_folder.h"
#include "runner/training_runner.h"
#include "runner/trial_runner.h"
#include "study/planned_study.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

using experiment::Plan;
using experiment::ProcessTask;
using experiment::RunOptions;
using experiment::RunOutcome;

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

constexpr const char* kInterruptText = "attnlab: warning: interrupted (once more: at once; jobs go on)\n";

class ClusterRun {
 public:
  ClusterRun(const Plan& plan, const RunOptions& options, const SubmittedStudy& study)
      : plan_(plan),
        options_(options),
        called_(study),
        study_(plan),
        folder_(options.folder, plan.spec.name, options.resume || options.attach, /*others_write=*/true),
        results_(fs::absolute(folder_.path())),
        progress_(options.quiet),
        trials_(plan, folder_.trials(), folder_.superseded(), progress_),
        trainings_(plan, results_, trials_, progress_),
        layout_(layout_of(plan, plan.spec.repeats.max)),
        environment_(experiment::read_environment(plan.threads, plugin_files(plan))) {}

  RunOutcome execute() {
    for (const std::string& warning : plan_.warnings) progress_.say("warning: " + warning);
    trials_.keep_refusals();
    before_ = read_submissions(results_);
    if (options_.resume || options_.attach) take_in();
    if (!plan_.trainings.empty()) trainings_.take_ended(/*keep_rows=*/false);
    Watch watch(plan_, study_, results_, trials_, trainings_, progress_);
    report::write_atomically(results_ / "plan.yaml", config::to_yaml(plan_json(plan_)));
    expect(study_.all(0, end_of_first_rounds()));
    adopt(watch);
    if (!options_.attach) submit_missing(watch, 0, end_of_first_rounds());
    write_environment();
    follow(watch);
    return finish(watch);
  }

 private:
  [[nodiscard]] int end_of_first_rounds() const {
    return plan_.spec.repeats.until > 0 ? plan_.spec.repeats.min : plan_.spec.repeats.max;
  }

  void expect(const std::vector<Unit>& units) {
    for (const Unit& unit : units) {
      if (unit.kind == UnitKind::training && !has_record(unit)) progress_.expect("train", 1);
      for (const ProcessTask& task : study_.tasks_of(unit))
        for (const std::size_t planned : task.cases)
          if (!trials_.is_done(task.arm, planned, task.seed, task.round))
            progress_.expect(report::case_title({plan_.cases[planned].workload_name, plan_.cases[planned].label}), 1);
    }
  }

  [[nodiscard]] bool has_record(const Unit& unit) const {
    return trainings_.is_done(plan_.trainings[study_.training(unit.training)]);
  }

  [[nodiscard]] bool is_done(const Unit& unit) const {
    if (unit.kind == UnitKind::training) return has_record(unit);
    return std::ranges::all_of(study_.tasks_of(unit), [&](const ProcessTask& task) {
      return std::ranges::all_of(
          task.cases, [&](std::size_t planned) { return trials_.is_done(task.arm, planned, task.seed, task.round); });
    });
  }

  // Slurm is asked before the folder is read: what ends in between has left its results by then.
  void take_in() {
    std::vector<JobState> states;
    if (!options_.attach) states = states_of_all(before_);
    for (const Submission& submission : before_)
      for (const Unit& unit : submission.units)
        if (const fs::path folder = submission_folder(results_, submission.number);
            unit.kind == UnitKind::round && is_round_there(folder, unit.round))
          publish_round(folder, unit.round, results_);
    if (!options_.attach) jobs_.emplace(states, folder_.trials());
    trials_.take_done_trials();
  }

  // Whether the unit of an earlier submission is the same work as in this plan.
  [[nodiscard]] bool is_same(const Unit& unit) const {
    try {
      return study_.check_of(unit) == unit.check;
    } catch (const Error&) {  // an arm that is not there any more
      return false;
    }
  }

  // What was submitted before: of each unit its last submission. Who attaches awaits all of it, and finds a row or
  // writes one for what has ended; who resumes awaits what Slurm has still, and submits the rest again.
  void adopt(Watch& watch) {
    const std::vector<Submission>& before = before_;
    next_submission_ = static_cast<int>(before.size());
    if (before.empty()) {
      if (options_.attach)
        throw Error(results_.string(), "nothing was submitted from here",
                    "start it with `attnlab run --launcher slurm`");
      return;
    }
    std::map<std::string, std::pair<std::size_t, std::size_t>> last;  // by key: submission, unit
    for (std::size_t submission = 0; submission < before.size(); ++submission)
      for (std::size_t unit = 0; unit < before[submission].units.size(); ++unit)
        last[before[submission].units[unit].key()] = {submission, unit};
    std::size_t others = 0;
    std::vector<std::vector<std::size_t>> awaited(before.size());
    for (const auto& [key, place] : last) {
      const auto [submission, unit] = place;
      const Unit& one = before[submission].units[unit];
      const bool same = is_same(one);
      if (same && is_done(one)) continue;
      const std::vector<std::string> trials = same ? trials_of(one) : std::vector<std::string>();
      if (!options_.attach && !jobs_->will_leave_more(before[submission], unit, trials)) continue;
      if (!same) {
        if (options_.attach)
          throw Error(
              called_.file.string(), fmt::format("{} is not what was submitted", one.title()),
              "the study's files have changed since: end its jobs with scancel, and submit it to another folder");
        ++others;
        continue;
      }
      awaited[submission].push_back(unit);
      adopted_.insert(key);
      attached_rounds_ = std::max(attached_rounds_, before[submission].units[unit].round + 1);
    }
    for (std::size_t submission = 0; submission < before.size(); ++submission) {
      std::ranges::sort(awaited[submission]);
      watch.await(before[submission], awaited[submission]);
    }
    progress_.say(
        fmt::format("{} before: {} awaited", counted(before.size(), "submission"), counted(adopted_.size(), "job")));
    if (others > 0)
      progress_.say(
          fmt::format("warning: {} jobs are of the study as it was before it was changed: their results do "
                      "not count, and scancel ends them",
                      others));
  }

  void submit_missing(Watch& watch, int first_round, int end_round) {
    std::vector<Unit> units = study_.all(first_round, end_round);
    std::erase_if(units, [&](const Unit& unit) { return adopted_.contains(unit.key()) || is_done(unit); });
    submit_all(watch, std::move(units));
  }

  void submit_all(Watch& watch, std::vector<Unit> units) {
    if (units.empty()) return;
    for (const Unit& unit : units) put_away(unit);
    write_study(results_, next_submission_, called_);
    const Submission submission =
        submit_units(plan_, study_, results_, next_submission_++, std::move(units), watch.live_arrays());
    std::vector<std::size_t> all(submission.units.size());
    for (std::size_t index = 0; index < all.size(); ++index) all[index] = index;
    watch.await(submission, all);
    progress_.say(fmt::format(
        "submitted {} in {}; they go on without this window, and `attnlab run "
        "--attach {}` watches them again",
        counted(all.size(), "job"), counted(submission.arrays.size(), "job array"), folder_.path().string()));
  }

  // What ran while the baseline had failed was not compared with it, and may be now: an earlier submission's.
  bool submit_uncompared(Watch& watch) {
    std::vector<Unit> units = study_.all(0, 0);
    std::erase_if(
        units, [&](const Unit& unit) { return unit.kind != UnitKind::once || is_done(unit) || !has_ended_well(unit); });
    submit_all(watch, std::move(units));
    return watch.is_waiting();
  }

  [[nodiscard]] bool has_ended_well(const Unit& unit) const {
    return std::ranges::all_of(study_.tasks_of(unit), [&](const ProcessTask& task) {
      return std::ranges::all_of(
          task.cases, [&](std::size_t planned) { return trials_.went_well(task.arm, planned, task.seed, task.round); });
    });
  }

  [[nodiscard]] std::vector<std::string> trials_of(const Unit& unit) const {
    std::vector<std::string> ids;
    for (const ProcessTask& task : study_.tasks_of(unit))
      for (const std::size_t planned : task.cases)
        ids.push_back(trial_id(plan_, plan_.arms[task.arm], plan_.cases[planned], task.seed, task.round));
    return ids;
  }

  // How it ended before is no result of the job that is submitted now.
  void put_away(const Unit& unit) {
    std::error_code none;
    if (unit.kind == UnitKind::training) fs::remove(report::record_file(results_, unit.training), none);
    for (const ProcessTask& task : study_.tasks_of(unit))
      for (const std::size_t planned : task.cases) {
        const std::string id = trial_id(plan_, plan_.arms[task.arm], plan_.cases[planned], task.seed, task.round);
        // A round is measured again as a whole: its trials are of one job.
        const bool stays = unit.kind == UnitKind::once && trials_.is_done(task.arm, planned, task.seed, task.round);
        if (stays || !fs::exists(file_of(id), none)) continue;
        fs::create_directories(folder_.superseded(), none);
        fs::rename(file_of(id), folder_.superseded() / (id + ".before.json"), none);
        trials_.forget_row(id);
      }
  }

  [[nodiscard]] fs::path file_of(const std::string& id) const { return folder_.trials() / (id + ".json"); }

  void follow(Watch& watch) {
    int rounds = std::max(end_of_first_rounds(), attached_rounds_);
    while (true) {
      watch.look();
      if (experiment::interrupted() != 0) return leave(watch);
      if (trials_.must_stop()) return cancel(watch.live_arrays());
      if (!watch.is_waiting()) {
        if (!options_.attach && !std::exchange(has_compared_, true) && submit_uncompared(watch)) continue;
        if (plan_.spec.repeats.until == 0) return;
        if (const auto enough = enough_rounds(plan_, trials_.results(), rounds)) {
          layout_ = layout_of(plan_, rounds);
          layout_.stopped = *enough;
          return;
        }
        const int first = std::exchange(rounds, std::min(rounds + plan_.spec.repeats.min, plan_.spec.repeats.max));
        if (first == rounds) return;
        expect(study_.all(first, rounds));
        submit_missing(watch, first, rounds);
        continue;
      }
      const auto until = std::chrono::steady_clock::now() + watch.pause();
      while (experiment::interrupted() == 0 && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  // Whoever presses Ctrl-C may mean the watching or the jobs.
  void leave(const Watch& watch) {
    if (!watch.is_waiting()) return;
    progress_.finish();
    if (isatty(STDIN_FILENO) == 1 && experiment::interrupted() == SIGINT) {
      fmt::print("The jobs can go on without this window. End them? [y/N] ");
      std::fflush(stdout);
      std::string answer;
      if (std::getline(std::cin, answer) && (answer == "y" || answer == "Y" || answer == "yes")) {
        cancel(watch.live_arrays());
        left_ = "the jobs that were not over were ended";
        return;
      }
    }
    left_ = fmt::format("its jobs go on, `attnlab run --attach {}` watches them again", folder_.path().string());
    progress_.say(left_);
  }

  RunOutcome finish(const Watch& watch) {
    RunOutcome outcome{!trials_.has_failed(), experiment::interrupted()};
    if (!plan_.trainings.empty()) {
      trainings_.take_ended(/*keep_rows=*/true);
      outcome.all_well = !trials_.has_failed();
    }
    if (outcome.interrupted != 0 && watch.is_waiting())
      layout_.stopped = fmt::format("interrupted ({}): {}", strsignal(outcome.interrupted), left_);
    else if (trials_.must_stop() && outcome.interrupted == 0)
      layout_.stopped = "on_error: stop, and a trial did not end well; `run --resume` goes on";
    progress_.finish();
    if (!watch.is_waiting()) {
      folder_.clear();
      for (int number = 0; number < next_submission_; ++number)
        remove_unfinished_rounds(submission_folder(results_, number));
    }
    write_environment();
    const report::Results results = report::write_reports(results_);
    const std::string path = (folder_.path() / "report.md").string();
    if (options_.quiet)
      fmt::print("{}\n", path);
    else
      fmt::print("{}report: {}\n", report::terminal_table(results), path);
    return outcome;
  }

  void write_environment() const {
    nlohmann::json json = environment_of(plan_, results_, environment_, trials_.results(), next_submission_);
    json["study"] = layout_;
    report::write_atomically(results_ / "environment.json", report::json_text(json));
  }

  const Plan& plan_;
  const RunOptions& options_;
  const SubmittedStudy& called_;
  const StudyUnits study_;
  const experiment::InterruptGuard guard_{kInterruptText};
  experiment::RunFolder folder_;
  fs::path results_;
  experiment::Progress progress_;
  experiment::TrialRunner trials_;
  experiment::TrainingRunner trainings_;
  report::StudyLayout layout_;
  experiment::Environment environment_;
  std::vector<Submission> before_;
  std::optional<EarlierJobs> jobs_;
  std::set<std::string> adopted_;  // keys of units of earlier submissions that are awaited
  int attached_rounds_ = 0;
  bool has_compared_ = false;
  int next_submission_ = 0;
  std::string left_;
};

}  // namespace

RunOutcome run_on_cluster(const Plan& plan, const RunOptions& options, const SubmittedStudy& study) {
  return ClusterRun(plan, options, study).execute();
}

void refuse_live_jobs(const fs::path& results) {
  std::vector<std::string> names;
  for (const Submission& submission : read_submissions(results))
    for (const SubmittedArray& array : submission.arrays) names.push_back(array.name);
  const std::optional<std::vector<JobState>> states = states_of(names);
  if (!states) return;
  const auto live = std::ranges::count_if(*states, &JobState::is_alive);
  if (live > 0)
    throw Error(results.string(), fmt::format("{} jobs of a cluster are at work for this folder", live),
                "go on with --launcher slurm, or end them with scancel first");
}

std::string describe_jobs(const Plan& plan) {
  constexpr int kUsual = 1001;
  const StudyUnits study(plan);
  const std::vector<Unit> units =
      study.all(0, plan.spec.repeats.until > 0 ? plan.spec.repeats.min : plan.spec.repeats.max);
  return fmt::format("slurm: {} in {}\n", counted(units.size(), "job"),
                     counted(job_arrays(plan, study, units, kUsual).size(), "job array"));
}

}  // namespace attnlab::cluster

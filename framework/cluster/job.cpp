#include "cluster/job.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <attnlab/error.h>

#include "cluster/nodes.h"
#include "cluster/round_folder.h"
#include "cluster/submission.h"
#include "cluster/training_folder.h"
#include "cluster/unit.h"
#include "machine/environment.h"
#include "report/read/training_record.h"
#include "runner/interrupt.h"
#include "runner/progress.h"
#include "runner/roof_probes.h"
#include "runner/rounds.h"
#include "runner/training_runner.h"
#include "runner/trial_runner.h"
#include "study/planned_study.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

using experiment::Plan;
using experiment::ProcessTask;

// Every start of a job has another: Slurm starts one again that its node has lost.
std::string job_name() {
  const auto value = [](const char* name) {
    const char* const text = std::getenv(name);
    return std::string(text == nullptr || *text == '\0' ? "0" : text);
  };
  return fmt::format("{}-{}-{}-{}", value("SLURM_JOB_ID"), value("SLURM_RESTART_COUNT"), node_name(), getpid());
}

Plan plan_of(const SubmittedStudy& study, const Unit& unit) {
  config::FileTexts texts = study.texts;
  experiment::PlanOptions options = study.options;
  options.texts = &texts;
  if (unit.kind != UnitKind::round) options.arms = {unit.arm};
  return make_plan(study.file, options);
}

class Job {
 public:
  Job(const fs::path& results, int submission, const Plan& plan, const Unit& unit)
      : results_(results),
        submission_(submission),
        plan_(plan),
        unit_(unit),
        study_(plan),
        environment_(experiment::read_environment(plan.threads, plugin_files(plan))),
        node_(leave_node(results, environment_)) {}

  bool run() {
    switch (unit_.kind) {
      case UnitKind::training:
        return train();
      case UnitKind::once:
        return measure_once();
      case UnitKind::round:
        return measure_round();
    }
    return false;
  }

 private:
  bool train() {
    experiment::TrialRunner trials(plan_, results_ / "trials", results_ / "superseded", progress_);
    const std::size_t index = study_.training(unit_.training);
    if (experiment::TrainingRunner(plan_, results_, trials, progress_).is_done(plan_.trainings[index])) return true;
    const fs::path own = begin_training(results_, submission_, unit_.training, job_name());
    experiment::TrainingRunner trainings(plan_, own, trials, progress_);
    trainings.name_node(node_);
    const bool is_well = trainings.run_one(index);
    if (experiment::interrupted() != 0) return false;
    end_training(results_, unit_.training, own);
    return is_well;
  }

  // What fails of the baseline is tried twice, as where there is no cluster.
  bool measure_once() {
    const std::size_t arm = study_.arm(unit_.arm);
    experiment::TrialRunner trials(plan_, results_ / "trials", results_ / "superseded", progress_);
    prepare(trials);
    for (const ProcessTask& task : study_.tasks_of(unit_)) {
      if (arm != plan_.spec.baseline) wait_for_baseline(task);
      trials.take_done_trials(task);
      ProcessTask of_baseline = task;
      of_baseline.arm = plan_.spec.baseline;
      if (plan_.arms[of_baseline.arm].refused.empty()) trials.take_done_trials(of_baseline);
    }
    experiment::RoofProbes roofs(plan_);
    const experiment::Rounds rounds(plan_, trials, roofs, progress_);
    for (int attempt = 1; attempt <= (arm == plan_.spec.baseline ? 2 : 1); ++attempt)
      if (const ProcessTask task = rounds.task_for(arm, unit_.seed, 0, true);
          !task.cases.empty() && !trials.must_stop())
        trials.run({&task, 1}, "once");
    return experiment::interrupted() == 0;
  }

  bool measure_round() {
    const fs::path submission = submission_folder(results_, submission_);
    if (is_round_there(submission, unit_.round)) {
      publish_round(submission, unit_.round, results_);
      return true;
    }
    const std::string job = job_name();
    const fs::path own = begin_round(submission, unit_.round, job);
    experiment::TrialRunner trials(plan_, own / "trials", own / "superseded", progress_);
    node_["together"] = job;
    prepare(trials);
    experiment::RoofProbes roofs(plan_);
    experiment::Rounds rounds(plan_, trials, roofs, progress_);
    const std::vector<ProcessTask> tasks = rounds.tasks_of(unit_.round);
    roofs.probe_first();
    rounds.warm_up(tasks);
    rounds.run(tasks, unit_.round);
    if (experiment::interrupted() != 0) return false;
    roofs.probe();
    write_round_file(own, {node_.at("name"), rounds.records(), rounds.warmup(), roofs.roof()});
    static_cast<void>(end_round(submission, unit_.round, own));
    publish_round(submission, unit_.round, results_);
    return true;
  }

  // Weights of the arms. Their trainings have ended before this job began, perhaps on another node whose files are not
  // seen here yet.
  void prepare(experiment::TrialRunner& trials) {
    trials.name_node(node_);
    wait_until([&] {
      return std::ranges::all_of(plan_.trainings, [&](const experiment::PlannedTraining& training) {
        return fs::exists(report::record_file(results_, training.id));
      });
    });
    experiment::TrainingRunner(plan_, results_, trials, progress_).take_ended(/*keep_rows=*/false);
  }

  // Its predictions are what the others are compared with. There is a row of it even where it failed.
  void wait_for_baseline(const ProcessTask& task) const {
    const std::size_t baseline = plan_.spec.baseline;
    if (!plan_.arms[baseline].refused.empty()) return;
    wait_until([&] {
      return std::ranges::all_of(task.cases, [&](std::size_t index) {
        if (plan_.kind_of(plan_.cases[index]).against_baseline.empty() || !plan_.arms[baseline].runs(index))
          return true;
        const std::string id = trial_id(plan_, plan_.arms[baseline], plan_.cases[index], task.seed, 0);
        return fs::exists(results_ / "trials" / (id + ".json"));
      });
    });
  }

  // Or until what is not there never will be.
  template <class Condition>
  void wait_until(const Condition& condition) const {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(plan_.spec.slurm->file_delay);
    while (!condition() && std::chrono::steady_clock::now() < deadline && experiment::interrupted() == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }

  const fs::path& results_;
  int submission_;
  const Plan& plan_;
  const Unit& unit_;
  const StudyUnits study_;
  const experiment::InterruptGuard guard_;
  experiment::Progress progress_{/*quiet=*/false};
  const experiment::Environment environment_;
  nlohmann::json node_;
};

}  // namespace

bool run_job(const fs::path& results, int submission, std::size_t index) {
  const std::optional<SubmittedStudy> study = read_study(results, submission);
  if (!study)
    throw Error(results.string(), "is no results folder of a study on a cluster",
                "this command is what jobs run; start a study with `attnlab run --launcher slurm`");
  const Unit unit = read_unit(results, submission, index);
  fs::current_path(study->working_folder);
  const Plan plan = plan_of(*study, unit);
  if (plan.identity != study->identity || StudyUnits(plan).check_of(unit) != unit.check)
    throw Error(
        study->file.string(),
        "the study is not what was submitted: its model, a text, a plugin or AttnLab has changed since, or this "
        "node refuses another arm than the machine that submitted it",
        "submit it again, to another folder");
  return Job(results, submission, plan, unit).run();
}

}  // namespace attnlab::cluster

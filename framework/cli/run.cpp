// attnlab run FILE, attnlab validate FILE: an experiment, and the same checks without it.
#include <fmt/format.h>

#include "cli/command.h"
#include "cluster/cluster_run.h"
#include "cluster/job.h"
#include "runner/runner.h"
#include "study/estimate.h"
#include "study/plan.h"

namespace attnlab::cli {
namespace {

struct RunCommandOptions {
  std::filesystem::path file;
  std::vector<std::string> set;
  std::string only;
  int threads = 0;
  std::vector<std::filesystem::path> plugins;
  std::string launcher;
  std::filesystem::path attach;
  experiment::RunOptions run;
};

void add_shared(CLI::App& command, RunCommandOptions& options) {
  command.add_option("FILE", options.file, "The experiment");
  command.add_option("--set", options.set, "Change a value: a.b=c (repeatable)");
  command.add_option("--only", options.only,
                     fmt::format("Only the arms whose whole name or a tag this glob matches (* ? [abc]): --only '*/{}' "
                                 "or --only '{}*'; the baseline that the experiment names runs with them",
                                 experiment::kPlainCache, experiment::kGroupedAttention));
  command.add_option("--threads", options.threads, "Threads; default: the experiment's, else all processors")
      ->check(CLI::Range(1, 1024));
  command
      .add_option("--launcher", options.launcher, "Where trials run: local, or slurm; default: as the experiment says")
      ->check(CLI::IsMember({"local", "slurm"}));
  command.add_option("--plugin", options.plugins, "A plugin file or folder beside those of the experiment");
}

experiment::PlanOptions plan_options(const RunCommandOptions& options) {
  experiment::PlanOptions chosen{
      .overrides = options.set, .only = options.only, .threads = options.threads, .plugins = options.plugins};
  if (!options.launcher.empty())
    chosen.launcher = options.launcher == "slurm" ? experiment::Launcher::slurm : experiment::Launcher::local;
  return chosen;
}

int validate(const RunCommandOptions& options) {
  const experiment::Plan plan = experiment::make_plan(options.file, plan_options(options));
  fmt::print("{}", experiment::describe_plan(plan));
  return kAllWell;
}

// As it was called, wherever that was.
experiment::RunOutcome attach(const RunCommandOptions& options) {
  experiment::RunOptions run = options.run;
  run.folder = std::filesystem::absolute(options.attach);
  run.attach = true;
  const std::optional<cluster::SubmittedStudy> study =
      cluster::read_study(run.folder, cluster::count_submissions(run.folder) - 1);
  if (!study)
    throw Error(options.attach.string(), "is no results folder of a study on a cluster",
                "name one that `attnlab run --launcher slurm` wrote");
  std::filesystem::current_path(study->working_folder);
  config::FileTexts texts = study->texts;
  experiment::PlanOptions chosen = study->options;
  chosen.texts = &texts;
  const experiment::Plan plan = experiment::make_plan(study->file, chosen);
  if (plan.identity != study->identity)
    throw Error(study->file.string(), "the study is not what was submitted: its model or AttnLab has changed since",
                "its jobs cannot go on either: end them with scancel, and submit it to another folder");
  return cluster::run_on_cluster(plan, run, *study);
}

experiment::RunOutcome start(const RunCommandOptions& options, const experiment::Plan& plan,
                             const experiment::PlanOptions& chosen, const config::FileTexts& texts) {
  if (!plan.spec.slurm) {
    if (options.run.resume && !options.run.folder.empty()) cluster::refuse_live_jobs(options.run.folder);
    return experiment::run(plan, options.run);
  }
  const cluster::SubmittedStudy study{.file = options.file,
                                      .working_folder = std::filesystem::current_path(),
                                      .options = chosen,
                                      .texts = texts,
                                      .identity = plan.identity};
  return cluster::run_on_cluster(plan, options.run, study);
}

int run_experiment(const RunCommandOptions& options) {
  experiment::RunOutcome outcome;
  if (!options.attach.empty()) {
    outcome = attach(options);
  } else {
    config::FileTexts texts;
    experiment::PlanOptions chosen = plan_options(options);
    chosen.texts = &texts;
    const experiment::Plan plan = experiment::make_plan(options.file, chosen);
    if (options.run.dry_run) {
      fmt::print("{}{}{}", experiment::describe_plan(plan), experiment::describe_estimate(plan),
                 plan.spec.slurm ? cluster::describe_jobs(plan) : "");
      return kAllWell;
    }
    outcome = start(options, plan, chosen, texts);
  }
  if (outcome.interrupted != 0) return 128 + outcome.interrupted;  // as shells have it
  return outcome.all_well ? kAllWell : kFailed;
}

}  // namespace

void add_validate(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("validate", "The checks of run, without running");
  auto options = std::make_shared<RunCommandOptions>();
  add_shared(*command, *options);
  command->get_option("FILE")->required();
  command->callback([=, &run] { run = [=] { return validate(*options); }; });
}

void add_run(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("run", "Run an experiment and write its report");
  auto options = std::make_shared<RunCommandOptions>();
  add_shared(*command, *options);
  CLI::Option* file = command->get_option("FILE");
  CLI::Option* out =
      command->add_option("-o,--out", options->run.folder, "Results folder; default: results/<name>/<time>");
  command->add_flag("--dry-run", options->run.dry_run,
                    "Show arms, trials, the time that one may take, and an estimate of time and memory; run nothing");
  CLI::Option* attach = command->add_option(
      "--attach", options->attach, "Watch the jobs of a study on a cluster again: its results folder, and no FILE");
  attach->excludes(file)->excludes(out);
  CLI::Option* resume =
      command->add_flag("--resume", options->run.resume,
                        "Continue in the results folder: trials that ended well stay, the others run (once) again");
  command->add_flag("--quiet", options->run.quiet, "Print only the path of the report, and on stderr what went wrong");
  attach->excludes(resume);
  command->callback([=, &run] {
    if (options->file.empty() && options->attach.empty()) throw CLI::RequiredError("FILE");
    run = [=] { return run_experiment(*options); };
  });
}

void add_job(CLI::App& app, std::function<int()>& run) {
  struct Options {
    std::filesystem::path results;
    int submission = 0;
    std::size_t unit = 0;
  };
  CLI::App* command = app.add_subcommand("job", "One job of a study on a cluster; jobs call it themselves");
  command->group("");  // not for people
  auto options = std::make_shared<Options>();
  command->add_option("DIR", options->results, "The results folder")->required();
  command->add_option("SUBMISSION", options->submission, "Its submission")->required();
  command->add_option("UNIT", options->unit, "The unit")->required();
  command->callback([=, &run] {
    run = [=] { return cluster::run_job(options->results, options->submission, options->unit) ? kAllWell : kFailed; };
  });
}

}  // namespace attnlab::cli

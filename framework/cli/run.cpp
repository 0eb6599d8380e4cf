// attnlab run FILE, attnlab validate FILE: an experiment, and the same checks without it.
#include <fmt/format.h>

#include "cli/command.h"
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
  experiment::RunOptions run;
};

void add_shared(CLI::App& command, RunCommandOptions& options) {
  command.add_option("FILE", options.file, "The experiment")->required();
  command.add_option("--set", options.set, "Change a value: a.b=c (repeatable)");
  command.add_option("--only", options.only,
                     fmt::format("Only the arms whose whole name or a tag this glob matches (* ? [abc]): --only '*/{}' "
                                 "or --only '{}*'; the baseline that the experiment names runs with them",
                                 experiment::kPlainCache, experiment::kGroupedAttention));
  command.add_option("--threads", options.threads, "Threads; default: the experiment's, else all processors")
      ->check(CLI::Range(1, 1024));
  command.add_option("--plugin", options.plugins, "A plugin file or folder beside those of the experiment");
}

experiment::Plan plan_of(const RunCommandOptions& options) {
  return experiment::make_plan(
      options.file,
      {.overrides = options.set, .only = options.only, .threads = options.threads, .plugins = options.plugins});
}

int validate(const RunCommandOptions& options) {
  const experiment::Plan plan = plan_of(options);
  fmt::print("{}", experiment::describe_plan(plan));
  return kAllWell;
}

int run_experiment(const RunCommandOptions& options) {
  experiment::Plan plan = plan_of(options);
  if (options.run.dry_run) {
    fmt::print("{}{}", experiment::describe_plan(plan), experiment::describe_estimate(plan));
    return kAllWell;
  }
  const experiment::RunOutcome outcome = experiment::run(plan, options.run);
  if (outcome.interrupted != 0) return 128 + outcome.interrupted;  // as shells have it
  return outcome.all_well ? kAllWell : kFailed;
}

}  // namespace

void add_validate(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("validate", "The checks of run, without running");
  auto options = std::make_shared<RunCommandOptions>();
  add_shared(*command, *options);
  command->callback([=, &run] { run = [=] { return validate(*options); }; });
}

void add_run(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("run", "Run an experiment and write its report");
  auto options = std::make_shared<RunCommandOptions>();
  add_shared(*command, *options);
  command->add_option("-o,--out", options->run.folder, "Results folder; default: results/<name>/<time>");
  command->add_flag("--dry-run", options->run.dry_run,
                    "Show arms, trials, the time that one may take, and an estimate of time and memory; run nothing");
  command->add_flag("--resume", options->run.resume,
                    "Continue in the results folder: trials that ended well stay, the others run (once) again");
  command->add_flag("--quiet", options->run.quiet, "Print only the path of the report, and on stderr what went wrong");
  command->callback([=, &run] { run = [=] { return run_experiment(*options); }; });
}

}  // namespace attnlab::cli

// attnlab merge DIR... -o OUT: folders of one study from several machines, as one, with its report.
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "report/merge/merge.h"
#include "report/pages/results_folder.h"
#include "report/pages/terminal_table.h"
#include "workloads/workload.h"

namespace attnlab::cli {
namespace {

// Trainings, and what no repetition changes.
bool is_measured_once(const std::string& workload) {
  for (const experiment::WorkloadKind* kind : experiment::workload_kinds())
    if (kind->name == workload) return kind->is_deterministic;
  return true;
}

}  // namespace

void add_merge(CLI::App& app, std::function<int()>& run) {
  struct Options {
    std::vector<std::filesystem::path> folders;
    std::filesystem::path out;
  };
  CLI::App* command =
      app.add_subcommand("merge", "Join results folders of one study that several machines have measured");
  auto options = std::make_shared<Options>();
  command->add_option("DIR", options->folders, "Results folders, two at least")->required()->expected(2, 10'000);
  command->add_option("-o,--out", options->out, "The folder that is made of them")->required();
  command->callback([=, &run] {
    run = [=] {
      const report::Merged merged = report::merge_runs(options->folders, options->out, is_measured_once);
      for (const std::string& warning : merged.warnings) warn(warning);
      const report::Results results = report::write_reports(options->out);
      fmt::print("{}{} trials of {} folders; {} were there twice\nreport: {}\n", report::terminal_table(results),
                 merged.trials, options->folders.size(), merged.twice, (options->out / "report.md").string());
      return kAllWell;
    };
  });
}

}  // namespace attnlab::cli

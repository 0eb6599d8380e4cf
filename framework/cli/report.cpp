// attnlab report DIR: rebuilds the reports of a results folder (or of the newest run below a folder) from its trial
// files, against another baseline where one is asked for, or prints all of it as JSON;
// attnlab report DIR --figures OUT: charts and a table for a paper; attnlab report --index DIR: one page over many
// runs.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "cli/command.h"
#include "report/charts/figures.h"
#include "report/pages/index_page.h"
#include "report/pages/report_json.h"
#include "report/pages/results_folder.h"
#include "report/pages/terminal_table.h"
#include "report/read/run_search.h"

namespace attnlab::cli {
namespace {

struct ReportFolderOptions {
  std::filesystem::path folder, index, figures;
  std::string format, baseline;
};

int report_on(const ReportFolderOptions& options) {
  if (options.folder.empty() == options.index.empty())
    throw Error("", "report needs a results folder, or --index and a folder of many", "attnlab report DIR");
  if (!options.index.empty()) {
    if (!options.format.empty()) throw Error("", "--index has no --format", "leave one of them out");
    if (!options.baseline.empty()) throw Error("", "--index has no --baseline", "leave one of them out");
    if (!options.figures.empty()) throw Error("", "--index has no --figures", "name one results folder");
    fmt::print("index: {}\n", report::write_index(options.index).string());
    return kAllWell;
  }
  const std::filesystem::path folder = report::newest_run(options.folder);
  if (!options.figures.empty()) {
    if (!options.format.empty()) throw Error("", "--figures has no --format", "leave one of them out");
    for (const auto& file : report::write_figures(report::read_results(folder, options.baseline), options.figures))
      fmt::print("{}\n", file.string());
    return kAllWell;
  }
  if (options.format == "json") {
    fmt::print("{}", report::report_json(report::read_results(folder, options.baseline))
                             .dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                         "\n");
    return kAllWell;
  }
  const report::Results results = report::write_reports(folder, options.baseline);
  if (folder != options.folder) fmt::print("the newest run of {}: {}\n", options.folder.string(), folder.string());
  fmt::print("{}", report::terminal_table(results));
  fmt::print("report: {}\n", (folder / "report.html").string());
  return kAllWell;
}

}  // namespace

void add_report(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("report", "Rebuild the reports of a results folder; an index over many");
  auto options = std::make_shared<ReportFolderOptions>();
  command->add_option("DIR", options->folder, "A results folder, or a folder of runs: its newest");
  command->add_option("--baseline", options->baseline,
                      "Arm that all ratios are to, instead of the run's own baseline; KL keeps its own");
  command->add_option("--format", options->format, "json: print everything that the report has, write nothing")
      ->check(CLI::IsMember({"json"}));
  command->add_option("--index", options->index, "Write index.html over all results folders in this folder");
  command->add_option("--figures", options->figures,
                      "Write every chart as SVG and PDF for a two-column paper, and table.tex, into this folder");
  command->callback([=, &run] { run = [=] { return report_on(*options); }; });
}

}  // namespace attnlab::cli

// attnlab report DIR: rebuilds the reports of a results folder from its trial files.
#include <fmt/format.h>

#include "cli/command.h"
#include "report/results_folder.h"
#include "report/terminal_table.h"

namespace attnlab::cli {

void add_report(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("report", "Rebuild the reports of a results folder");
  auto folder = std::make_shared<std::filesystem::path>();
  command->add_option("DIR", *folder, "A results folder")->required();
  command->callback([=, &run] {
    run = [=] {
      report::write_reports(*folder);
      fmt::print("{}", report::terminal_table(report::read_results(*folder)));
      return kAllWell;
    };
  });
}

}  // namespace attnlab::cli

// attnlab schema: the JSON Schema of experiments, for editors and for configs/experiment.schema.json.
#include <fmt/format.h>

#include "cli/command.h"
#include "study/spec_schema.h"

namespace attnlab::cli {

void add_schema(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("schema", "The JSON Schema of experiments, with the options of all plugins");
  auto plugins = std::make_shared<std::vector<std::filesystem::path>>();
  command->add_option("--plugin", *plugins, "A plugin file or folder beside those of the build");
  command->callback([=, &run] {
    run = [=] {
      fmt::print("{}\n", experiment::experiment_schema(Registry::standard(*plugins)).dump(2));
      return kAllWell;
    };
  });
}

}  // namespace attnlab::cli

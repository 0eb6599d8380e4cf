// attnlab list [KIND], attnlab describe NAME: what is loaded, and what a component, a workload or a task takes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <attnlab/error.h>

#include "choices/component_choice.h"
#include "cli/command.h"
#include "cli/describe_keys.h"

namespace attnlab::cli {
namespace {

int list(const std::string& kind, const std::vector<std::filesystem::path>& plugins) {
  const Registry registry = Registry::standard(plugins);
  for (const Kind of : kKinds) {
    if (!kind.empty() && kind != kind_name(of)) continue;
    fmt::print("{}\n", kind_name(of));
    for (const std::string& id : registry.ids(of)) {
      const Descriptor& component = *registry.find(of, id);
      fmt::print("  {:<14} {}\n", component.id, component.summary);
    }
  }
  for (const std::string& of : declared_kinds()) {
    if (!kind.empty() && kind != of) continue;
    fmt::print("{}\n", of);
    list_declared(of);
  }
  if (registry.refusals().empty()) return kAllWell;
  fmt::print("refused\n");
  for (const Refusal& refusal : registry.refusals()) {
    fmt::print("  {}: {}\n", refusal.file.string(), refusal.reason);
    if (refusal.details.empty()) continue;
    fmt::print("plugin refused: {}\n{}", refusal.file.string(), refusal.details);
    fmt::print("  effect          what \"{}\" has is not available; experiments that name it will stop at planning\n",
               refusal.name);
  }
  return kAllWell;
}

int describe(const std::string& name, const std::vector<std::filesystem::path>& plugins) {
  const Registry registry = Registry::standard(plugins);
  bool found = false;
  std::vector<std::string> all;
  for (const Kind kind : kKinds) {
    for (const std::string& id : registry.ids(kind)) all.push_back(id);
    const Descriptor* component = registry.find(kind, name);
    if (component == nullptr) continue;
    if (found) fmt::print("\n");
    found = true;
    fmt::print("{} {} - {}\n", kind_name(kind), component->id, component->summary);
    fmt::print("paper: {}\nplugin: {} {} ({})\n", component->reference, component->plugin, component->version,
               component->file.string());
    if (kind == Kind::storage)
      fmt::print("written: storage: {0}, or {{k: {0}, v: NAME, page: ROWS}} with keys and values apart\n",
                 component->options.empty() ? component->id : fmt::format("{{{}: {{OPTION: VALUE}}}}", component->id));
    fmt::print("options:{}\n", component->options.empty() && kind != Kind::cache ? " none" : "");
    for (const OptionSpec& option : component->options) print_option(option);
    if (kind == Kind::cache) {
      fmt::print(
          "  storage ({}, default {}; every cache)\n"
          "      How rows are held: NAME, {{NAME: {{OPTION: VALUE}}, page: ROWS}} or {{k: NAME, v: NAME, page: "
          "ROWS}}.\n",
          fmt::join(registry.ids(Kind::storage), " | "), experiment::kPlainStorage);
      fmt::print(
          "  keys (choice, auto | rotated | unrotated, default auto; every cache)\n"
          "      Whether keys are stored with their rotation; auto: unrotated where the scheme depends on the "
          "length.\n");
    }
  }
  if (describe_declared(name, found) || found) return kAllWell;
  for (const std::string& declared : declared_names()) all.push_back(declared);
  for (const Refusal& refusal : registry.refusals())
    if (refusal.name == name) throw Error(refusal.file.string(), "plugin refused: " + refusal.reason);
  const std::string nearest = nearest_name(name, all);
  throw Error(
      "", fmt::format("unknown component, workload or task \"{}\"", name),
      nearest.empty() ? fmt::format("known: {}", fmt::join(all, ", ")) : fmt::format("did you mean \"{}\"?", nearest));
}

}  // namespace

void add_list(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("list", "Loaded components, and refused plugins with the reason");
  auto kind = std::make_shared<std::string>();
  auto plugins = std::make_shared<std::vector<std::filesystem::path>>();
  command->add_option("KIND", *kind, "attention, position, cache, storage, workload or task")
      ->check(CLI::IsMember({"attention", "position", "cache", "storage", "workload", "task"}));
  command->add_option("--plugin", *plugins, "A plugin file or folder beside those of the build");
  command->callback([=, &run] { run = [=] { return list(*kind, *plugins); }; });
}

void add_describe(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand(
      "describe", "A component's options with types, defaults, bounds and paper; those of a workload or a task");
  auto name = std::make_shared<std::string>();
  auto plugins = std::make_shared<std::vector<std::filesystem::path>>();
  command->add_option("NAME", *name, "Name of a component, a workload or a task")->required();
  command->add_option("--plugin", *plugins, "A plugin file or folder beside those of the build");
  command->callback([=, &run] { run = [=] { return describe(*name, *plugins); }; });
}

}  // namespace attnlab::cli

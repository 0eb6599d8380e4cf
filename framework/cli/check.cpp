// attnlab check [NAME | FILE.so]: the conformance kit. One line a law; exit 1 where one does not hold.
#include <fmt/format.h>

#include <algorithm>

#include <attnlab/error.h>

#include "cli/command.h"
#include "conformance/check.h"

namespace attnlab::cli {
namespace {

namespace conformance = experiment::conformance;

std::string measured(const conformance::Verdict& verdict) {
  const conformance::Finding& worst = verdict.worst;
  std::string text;
  if (worst.allowed > 0)
    text = fmt::format("{:.2g} of {:.2g}", worst.deviation, worst.allowed);
  else if (!worst.holds())
    text = worst.deviation == 1 ? "does not hold" : fmt::format("{:.2g} where nothing may differ", worst.deviation);
  else
    text = "exact";
  if (!worst.what.empty()) text += ": " + worst.what;
  if (!worst.holds()) text += fmt::format(" ({})", verdict.on);
  return text;
}

// How many laws were broken.
int print(const Registry& registry, const Descriptor& component, double seconds) {
  fmt::print("{} {} ({} {})\n", kind_name(component.kind), component.id, component.plugin, component.version);
  int broken = 0;
  for (const conformance::Verdict& verdict : conformance::check(registry, component, seconds)) {
    if (verdict.combinations == 0) {
      fmt::print("  -     {:<36} does not apply\n", verdict.law);
      continue;
    }
    const bool holds = verdict.worst.holds();
    broken += holds ? 0 : 1;
    fmt::print("  {}  {:<36} {}\n", holds ? "ok  " : "FAIL", verdict.law, measured(verdict));
  }
  std::fflush(stdout);
  return broken;
}

// Whether the component comes from the file or folder.
bool holds(const std::filesystem::path& file, const Descriptor& component) {
  std::error_code ignored;
  if (std::filesystem::equivalent(file, component.file, ignored)) return true;
  if (std::filesystem::is_directory(file, ignored))
    return std::filesystem::equivalent(file, component.file.parent_path(), ignored);
  return !component.source.empty() && std::filesystem::equivalent(file, component.source, ignored);
}

int check(const std::vector<std::string>& names, std::vector<std::filesystem::path> plugins, double seconds) {
  std::vector<std::string> wanted;
  std::vector<std::filesystem::path> files;
  for (const std::string& name : names) {
    if (name.find('/') != std::string::npos || name.ends_with(".so") || name.ends_with(".cpp"))
      files.emplace_back(name);
    else
      wanted.push_back(name);
  }
  plugins.insert(plugins.end(), files.begin(), files.end());
  const Registry registry = Registry::standard(plugins);
  for (const Refusal& refusal : registry.refusals())
    if (refusal.requested) throw Error(refusal.file.string(), "plugin refused: " + refusal.reason);
  std::vector<std::string> known;
  for (const Descriptor& component : registry.components()) known.push_back(component.id);
  for (const std::string& name : wanted)
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string nearest = nearest_name(name, known);
      throw Error("", fmt::format("unknown component \"{}\"", name),
                  nearest.empty() ? "attnlab list names them" : fmt::format("did you mean \"{}\"?", nearest));
    }
  int broken = 0, checked = 0;
  for (const Descriptor& component : registry.components()) {
    const bool named = std::find(wanted.begin(), wanted.end(), component.id) != wanted.end();
    const bool of_file = std::any_of(files.begin(), files.end(),
                                     [&](const std::filesystem::path& file) { return holds(file, component); });
    if (!names.empty() && !named && !of_file) continue;
    ++checked;
    broken += print(registry, component, seconds);
  }
  if (checked == 0) throw Error(files.front().string(), "holds no component");
  fmt::print("{} component{} checked, {} law{} broken\n", checked, checked == 1 ? "" : "s", broken,
             broken == 1 ? "" : "s");
  return broken == 0 ? kAllWell : kFailed;
}

}  // namespace

void add_check(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("check", "The conformance kit: laws that every plugin has to keep, measured");
  auto names = std::make_shared<std::vector<std::string>>();
  auto plugins = std::make_shared<std::vector<std::filesystem::path>>();
  command->add_option("NAME", *names, "Components or plugin files; all that are loaded where none is named");
  command->add_option("--plugin", *plugins, "A plugin file or folder beside those of the build");
  auto seconds = std::make_shared<double>(conformance::kLawSeconds);
  command->add_option("--limit", *seconds, "Seconds that a law may take on one component, in a process of its own")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  command->callback([=, &run] { run = [=] { return check(*names, *plugins, *seconds); }; });
}

}  // namespace attnlab::cli

// attnlab new: a plugin project outside this tree that works as it is, to be changed from there. Its files are those of
// templates/, which the program carries with it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>

#include <attnlab/error.h>

#include "choices/plain_components.h"
#include "cli/command.h"

namespace attnlab::cli {
namespace {

namespace fs = std::filesystem;

struct Template {
  std::string_view name;
  std::string_view text;
};
constexpr Template kTemplates[] = {
#include "templates.inc"
};

struct KindTexts {
  const char* kind;
  const char* baseline;  // the built-in component that it is compared with
  std::string arm;       // what stands before the name in an arm, and what closes it
  const char* end = "";
};
const KindTexts kKinds[] = {
    {"attention", experiment::kGroupedAttention, "attention:"},
    {"position", experiment::kPlainPosition, "position:"},
    {"cache", experiment::kPlainCache, "cache:"},
    {"storage", experiment::kRoundedStorage, fmt::format("cache: {{{}: {{storage:", experiment::kPlainCache), "}}"}};

// Targets that CMake makes itself.
constexpr std::array kCMakeNames{"all",     "clean",          "edit_cache", "help",          "install",
                                 "package", "package_source", "preinstall", "rebuild_cache", "test"};

struct NewOptions {
  std::string kind, name;
  fs::path folder;
};

void check_name(const std::string& name) {
  const auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const bool proper = !name.empty() && is_letter(name.front()) && std::ranges::all_of(name, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
  });
  if (!proper)
    throw Error("", fmt::format("\"{}\" is no name of a component", name),
                "use small letters, digits and _, a letter first");
  if (std::ranges::find(kCMakeNames, name) != kCMakeNames.end())
    throw Error("", fmt::format("\"{}\" is a name that CMake keeps for itself", name), "choose another");
  const Registry registry = Registry::standard();
  for (const Descriptor& component : registry.components())
    if (component.id == name)
      throw Error(
          "",
          fmt::format("{} \"{}\" is already there, from {}", kind_name(component.kind), name, component.file.string()),
          "choose another name");
}

void check_folder(const fs::path& folder) {
  std::error_code failure;
  if (!fs::exists(folder, failure)) return;
  if (!fs::is_directory(folder, failure)) throw Error(folder.string(), "is there already and is no folder");
  if (!fs::is_empty(folder, failure) || failure)
    throw Error(folder.string(), "is there already and not empty", "name a folder that is new or empty");
}

// As the command line takes the component: `--cache full`, `--cache '{full: {storage: NAME}}'`.
std::string flag_of(const KindTexts& texts, const std::string& name) {
  const std::string& arm = texts.arm;
  const std::size_t colon = arm.find(':');
  if (colon + 1 == arm.size()) return fmt::format("--{} {}", texts.kind, name);
  return fmt::format("--{} '{} {}{}'", arm.substr(0, colon), arm.substr(colon + 2), name, texts.end);
}

std::string filled(std::string_view text, const NewOptions& options, const KindTexts& texts) {
  const std::string flag = flag_of(texts, options.name);
  const std::pair<std::string_view, std::string_view> values[] = {
      {"@NAME@", options.name}, {"@KIND@", options.kind}, {"@BASELINE@", texts.baseline},
      {"@ARM@", texts.arm},     {"@END@", texts.end},     {"@FLAG@", flag}};
  std::string all(text);
  for (const auto& [mark, value] : values)
    for (std::size_t at = all.find(mark); at != std::string::npos; at = all.find(mark, at + value.size()))
      all.replace(at, mark.size(), value);
  return all;
}

// The file that a template becomes; empty where it belongs to another kind.
std::string file_name(std::string_view name, const NewOptions& options) {
  name.remove_suffix(std::string_view(".in").size());
  if (name.ends_with(".cpp")) return name == options.kind + ".cpp" ? options.name + ".cpp" : std::string();
  return name == "experiment.yaml" ? options.name + ".yaml" : std::string(name);
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(path.string(), "cannot be written");
}

int make_project(const NewOptions& options) {
  check_name(options.name);
  check_folder(options.folder);
  std::error_code failure;
  fs::create_directories(options.folder, failure);
  if (failure) throw Error(options.folder.string(), "the folder cannot be made: " + failure.message());
  const KindTexts& texts = *std::ranges::find(kKinds, options.kind, &KindTexts::kind);
  for (const Template& one : kTemplates)
    if (const std::string name = file_name(one.name, options); !name.empty())
      write(options.folder / name, filled(one.text, options, texts));
  fmt::print("{0}\nthe idea goes into {1}; then: attnlab run {2}\n", options.folder.string(),
             (options.folder / (options.name + ".cpp")).string(), (options.folder / (options.name + ".yaml")).string());
  return kAllWell;
}

}  // namespace

void add_new(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("new", "A plugin project of your own that builds and runs");
  auto options = std::make_shared<NewOptions>();
  command->add_option("KIND", options->kind, "attention, position, cache or storage")
      ->required()
      ->check(CLI::IsMember({"attention", "position", "cache", "storage"}));
  command->add_option("NAME", options->name, "Name of the component and its files")->required();
  command->add_option("DIR", options->folder, "Folder to make; default: NAME");
  command->callback([=, &run] {
    if (options->folder.empty()) options->folder = options->name;
    run = [=] { return make_project(*options); };
  });
}

}  // namespace attnlab::cli

// attnlab compare A B: two results folders side by side; or one, and what was committed under its path in a revision.
#include <fmt/format.h>

#include <charconv>

#include <attnlab/error.h>

#include "cli/command.h"
#include "cli/git_folder.h"
#include "report/compare.h"

namespace attnlab::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRevision = "git:";

struct Options {
  std::string first, second;
  std::string fail_above;
  std::string format = "text";
  bool all = false;
};

// "5%", "0.05"; a figure above 1 without a sign would be taken for the wrong one of the two.
double share_of(const std::string& text) {
  if (text.empty()) return 0;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view rest(end, text.data() + text.size());
  if (rest == "%") value /= 100;
  if (error != std::errc() || (!rest.empty() && rest != "%") || !(value >= 0) || value > 1)
    throw Error("--fail-above", fmt::format("\"{}\" is no share", text), "5% or 0.05");
  return value;
}

bool is_folder(const std::string& text) {
  std::error_code ignored;
  return fs::is_directory(text, ignored);
}

// Empty: the argument is a folder.
std::string revision_of(const std::string& text) {
  if (text.starts_with(kRevision)) return text.substr(kRevision.size());
  return is_folder(text) ? std::string() : text;
}

int print(const report::Comparison& found, const report::ComparedNames& names, const Options& options) {
  const double beyond = share_of(options.fail_above);
  if (options.format == "json")
    fmt::print("{}\n", report::compare_json(found, names, beyond)
                           .dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  else
    fmt::print("{}", options.format == "markdown" ? report::compare_markdown(found, names, beyond, options.all)
                                                  : report::compare_text(found, names, beyond, options.all));
  return found.has_regression(beyond) ? kFailed : kAllWell;
}

int compare(const Options& options) {
  static_cast<void>(share_of(options.fail_above));  // before anything is read
  std::string revision = revision_of(options.second);
  std::string folder = options.first;
  if (revision.empty()) {
    revision = revision_of(options.first);
    folder = options.second;
  }
  if (revision.empty())
    return print(report::compare(report::read_results(options.first), report::read_results(options.second)),
                 {options.first, options.second}, options);
  if (!is_folder(folder)) throw Error(folder, "is no folder", "name a folder that `attnlab run` wrote");
  // The committed one is always what the folder is held against.
  const GitFolder committed(folder, revision);
  return print(report::compare(report::read_results(committed.path()), report::read_results(folder)),
               {folder + " in " + revision, folder}, options);
}

}  // namespace

void add_compare(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand("compare", "Two results folders side by side; exit 1 if B is worse than A");
  auto options = std::make_shared<Options>();
  command->add_option("A", options->first, "A results folder")->required();
  command
      ->add_option("B", options->second,
                   "Another one; or a git revision (git:REV): then A as it was committed is what A is held against")
      ->required();
  command->add_option("--fail-above", options->fail_above,
                      "Exit 1 only for what is surely worse by more than this share, as 5% or 0.05; default 0");
  command->add_option("--format", options->format, "text, markdown or json")
      ->check(CLI::IsMember({"text", "markdown", "json"}));
  command->add_flag("--all", options->all, "Every row, not only what changed and the headline metrics");
  command->callback([=, &run] { run = [=] { return compare(*options); }; });
}

}  // namespace attnlab::cli

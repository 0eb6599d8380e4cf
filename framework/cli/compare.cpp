// attnlab compare A B: two results folders side by side; or one, and what was committed under its path in a revision.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>

#include <attnlab/error.h>

#include "cli/command.h"
#include "cli/git_folder.h"
#include "report/read/run_search.h"
#include "report/summary/compare.h"

namespace attnlab::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRevision = "git:";

struct CompareOptions {
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

// Whether the text can be nothing but a path: a revision is one word, or has git: before it.
bool is_path(const std::string& text) {
  return text.starts_with('.') || text.find('/') != std::string::npos;
}

// Empty: the argument is a folder. A folder that is not there is named, whatever the other one is.
std::string revision_of(const std::string& text) {
  if (text.starts_with(kRevision)) return text.substr(kRevision.size());
  if (is_folder(text)) return {};
  if (is_path(text)) throw Error(text, "there is no such folder", "name a folder that `attnlab run` wrote, or git:REV");
  return text;
}

report::Results read(const fs::path& folder, std::string& name) {
  const fs::path run = report::newest_run(folder);
  if (run != folder) name += fmt::format(" (its newest run {})", run.lexically_relative(folder).string());
  return report::read_results(run);
}

int print(const report::Comparison& found, const report::ComparedNames& names, const CompareOptions& options) {
  const double beyond = share_of(options.fail_above);
  if (options.format == "json")
    fmt::print("{}\n", report::compare_json(found, names, beyond)
                           .dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  else
    fmt::print("{}", options.format == "markdown" ? report::compare_markdown(found, names, beyond, options.all)
                                                  : report::compare_text(found, names, beyond, options.all));
  return found.has_regression(beyond) || !found.has_compared() ? kFailed : kAllWell;
}

// What is named without git: may as well have been meant as a folder.
std::unique_ptr<GitFolder> committed_folder(const std::string& folder, const std::string& revision,
                                            const CompareOptions& options) {
  try {
    return std::make_unique<GitFolder>(folder, revision);
  } catch (const Error& error) {
    if (options.first.starts_with(kRevision) || options.second.starts_with(kRevision)) throw;
    throw Error(revision, "there is no such folder, and as a revision: " + error.problems().front().text(),
                "name a folder that `attnlab run` wrote, or git:REV");
  }
}

int compare(const CompareOptions& options) {
  static_cast<void>(share_of(options.fail_above));  // before anything is read
  const std::string of_first = revision_of(options.first);
  const std::string of_second = revision_of(options.second);
  report::ComparedNames names{options.first, options.second};
  if (of_first.empty() && of_second.empty()) {
    const report::Results first = read(options.first, names.a);
    const report::Results second = read(options.second, names.b);
    return print(report::compare(first, second), names, options);
  }
  if (!of_first.empty() && !of_second.empty())
    throw Error(options.first, "there is no such folder",
                "name a folder that `attnlab run` wrote, and a revision of it");
  // The committed one is always what the folder is compared with.
  const std::string& folder = of_first.empty() ? options.first : options.second;
  const std::string& revision = of_first.empty() ? of_second : of_first;
  const std::unique_ptr<GitFolder> committed = committed_folder(folder, revision, options);
  names = {folder + " in " + revision, folder};
  const report::Results before = read(committed->path(), names.a);
  const report::Results now = read(folder, names.b);
  return print(report::compare(before, now), names, options);
}

}  // namespace

void add_compare(CLI::App& app, std::function<int()>& run) {
  CLI::App* command = app.add_subcommand(
      "compare", "Two results folders side by side; exit 1 if B is worse than A, or nothing can be compared");
  auto options = std::make_shared<CompareOptions>();
  command->add_option("A", options->first, "A results folder")->required();
  command
      ->add_option("B", options->second,
                   "Another results folder; or a git revision (git:REV): A is compared with A as committed there")
      ->required();
  command->add_option("--fail-above", options->fail_above,
                      "Exit 1 only for what is surely worse by more than this share, as 5% or 0.05; default 0");
  command->add_option("--format", options->format, "text, markdown or json")
      ->check(CLI::IsMember({"text", "markdown", "json"}));
  command->add_flag("--all", options->all, "Every row, not only what changed and the headline metrics");
  command->callback([=, &run] { run = [=] { return compare(*options); }; });
}

}  // namespace attnlab::cli

#include "report/index_page.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include <attnlab/error.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include "report/assets.h"
#include "report/format.h"
#include "report/html.h"
#include "report/results_folder.h"
#include "report/text_file.h"
#include "report/verdict_words.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 5;  // results/<name>/<run>, and a little more

struct Run {
  fs::path folder;  // relative to the index
  std::time_t time = 0;
  std::string name, question, verdict, damage;
  std::size_t arms = 0, refused = 0, failed = 0;  // arms; with failed trials
};

std::string failure_text(const Run& run) {
  std::string text;
  if (run.failed > 0) text = fmt::format("{} failed", run.failed);
  if (run.refused > 0) text += fmt::format("{}{} refused", text.empty() ? "" : ", ", run.refused);
  return text;
}

std::time_t written_at(const fs::path& path) {
  struct stat entry = {};
  return stat(path.c_str(), &entry) == 0 ? entry.st_mtime : 0;
}

Run read_run(const fs::path& folder, const fs::path& relative) {
  Run run;
  run.folder = relative;
  run.time = written_at(folder / "environment.json");
  try {
    const Results results = read_results(folder);
    run.name = results.layout.name;
    run.question = results.layout.question;
    if (const std::vector<std::string> sentences = verdict(results); !sentences.empty())
      run.verdict = sentences.front();
    run.arms = results.layout.arms.size();
    std::set<std::string> failed;
    for (const TrialResult& trial : results.trials)
      if (!trial.is_ok()) failed.insert(trial.arm);
    run.failed = failed.size();
    run.refused = static_cast<std::size_t>(
        std::ranges::count_if(results.layout.arms, [](const ArmLayout& arm) { return !arm.refused.empty(); }));
  } catch (const std::exception& error) {  // whatever a damaged folder does, the others are listed
    run.damage = error.what();
  }
  return run;
}

// Folders that look like results, damaged ones too.
std::vector<Run> find_runs(const fs::path& folder) {
  std::vector<Run> runs;
  std::error_code failure;
  const auto look_at = [&](const fs::path& path) {
    std::error_code ignored;
    const bool is_run = fs::exists(path / "environment.json", ignored) || fs::is_directory(path / "trials", ignored);
    if (is_run) runs.push_back(read_run(path, fs::relative(path, folder, ignored)));
    return is_run;
  };
  if (look_at(folder)) return runs;
  for (fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, failure), end;
       !failure && entry != end; entry.increment(failure)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && (look_at(entry->path()) || entry.depth() >= kDepth))
      entry.disable_recursion_pending();
  }
  if (failure) throw Error(folder.string(), "cannot be read: " + failure.message());
  std::ranges::stable_sort(runs, std::ranges::greater{}, &Run::time);
  return runs;
}

// A relative path as a link: everything but plain letters is written as bytes.
std::string link_to(const fs::path& path) {
  std::string link;
  for (const char letter : path.generic_string()) {
    const auto code = static_cast<unsigned char>(letter);
    const bool is_plain = std::isalnum(code) || std::string_view("/-_.~").find(letter) != std::string_view::npos;
    link += is_plain ? std::string(1, letter) : fmt::format("%{:02X}", code);
  }
  return "./" + link;
}

std::string cell(std::string_view label, const std::string& html) {
  return fmt::format("<td data-label=\"{}\">{}</td>", label, html);
}

std::string words(const std::string& text) {
  return html_text(one_line(text));
}

std::string row_of(const Run& run, const fs::path& folder) {
  std::error_code ignored;
  const char* file = fs::exists(folder / run.folder / "report.html", ignored) ? "report.html" : "report.md";
  const std::string date = run.time == 0 ? "" : fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(run.time));
  if (!run.damage.empty())
    return fmt::format("<tr class=\"damaged\">{}{}{}{}{}</tr>\n", cell("run", words(run.folder.string())),
                       cell("date", date), cell("arms", ""), cell("what came out", ""),
                       cell("failures", "<span class=\"status\">damaged</span>: " + words(run.damage)));
  const std::string link = fmt::format("<a href=\"{}\">{}</a>", link_to(run.folder / file), words(run.name));
  const std::string question = run.question.empty() ? "" : "<p>" + words(run.question) + "</p>";
  const std::string failures = failure_text(run);
  return fmt::format("<tr>{}{}{}{}{}</tr>\n", cell("run", link + question), cell("date", date),
                     cell("arms", std::to_string(run.arms)), cell("what came out", words(run.verdict)),
                     cell("failures", failures.empty() ? "none" : "<span class=\"status\">" + failures + "</span>"));
}

}  // namespace

fs::path write_index(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw Error(folder.string(), "is no folder", "name the folder that holds the results of `attnlab run`");
  const std::vector<Run> runs = find_runs(folder);
  if (runs.empty())
    throw Error(folder.string(), "holds no results folder", "name the folder that holds the results of `attnlab run`");
  std::string rows;
  for (const Run& run : runs) rows += row_of(run, folder);
  const fs::path file = folder / "index.html";
  write_atomically(
      file,
      filled_page(asset("index.html"),
                  {{"rows", rows}, {"count", fmt::format("{} {}", runs.size(), runs.size() == 1 ? "run" : "runs")}}));
  return file;
}

}  // namespace attnlab::report

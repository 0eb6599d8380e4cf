#include "report/pages/index_page.h"

#include <algorithm>
#include <set>

#include <attnlab/error.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "report/pages/assets.h"
#include "report/pages/html.h"
#include "report/pages/verdict_words.h"
#include "report/read/format.h"
#include "report/read/run_search.h"
#include "report/read/text_file.h"
#include "report/summary/input_words.h"
#include "report/summary/results.h"

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

struct Run {
  fs::path folder;  // relative to the index
  std::time_t time = 0;
  std::string name, question, verdict, damage;
  std::string model, revision, threads;  // what tells runs apart
  std::vector<std::string> arm_names;
  std::size_t arms = 0, refused = 0, failed = 0, diverged = 0;  // arms; with failed trials, diverged trainings
};

std::string failure_text(const Run& run) {
  std::string text;
  const auto add = [&](std::size_t arms, const char* what) {
    if (arms > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", arms, what);
  };
  add(run.failed, "failed");
  add(run.diverged, "diverged");
  add(run.refused, "refused");
  return text;
}

std::string string_at(const nlohmann::json& json, const char* pointer) {
  const nlohmann::json::json_pointer place(pointer);
  if (!json.is_object() || !json.contains(place)) return {};
  const nlohmann::json& value = json.at(place);
  return value.is_string() ? value.get<std::string>() : value.is_number() ? value.dump() : std::string();
}

Run read_run(const FoundRun& found, const fs::path& index) {
  const fs::path& folder = found.folder;
  std::error_code ignored;
  Run run;
  run.folder = fs::relative(folder, index, ignored);
  run.time = found.time;
  try {
    const Results results = read_results(folder);
    run.name = results.layout.name;
    run.question = results.layout.question;
    if (const std::vector<std::string> sentences = verdict(results); !sentences.empty())
      run.verdict = sentences.front();
    run.arms = results.layout.arms.size();
    for (const ArmLayout& arm : results.layout.arms) run.arm_names.push_back(arm.name);
    if (results.layout.model.is_known()) run.model = model_words(results.layout.model);
    run.revision = string_at(results.environment, "/build/git_revision");
    run.threads = string_at(results.environment, "/threads");
    std::set<std::string> failed, diverged;
    for (const TrialResult& trial : results.trials)
      if (!trial.is_ok()) (trial.status == "diverged" ? diverged : failed).insert(trial.arm);
    run.failed = failed.size();
    run.diverged = diverged.size();
    run.refused = static_cast<std::size_t>(
        std::ranges::count_if(results.layout.arms, [](const ArmLayout& arm) { return !arm.refused.empty(); }));
  } catch (const std::exception& error) {  // whatever a damaged folder does, the others are listed
    run.damage = error.what();
  }
  return run;
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

constexpr std::size_t kMostArmsNamed = 4;

std::string arms_cell(const Run& run) {
  const auto named = std::min(run.arm_names.size(), kMostArmsNamed);
  std::string names = fmt::format(
      "{}", fmt::join(run.arm_names.begin(), run.arm_names.begin() + static_cast<std::ptrdiff_t>(named), ", "));
  if (named < run.arm_names.size()) names += fmt::format(" and {} more", run.arm_names.size() - named);
  return fmt::format("{}<p>{}</p>", run.arms, words(names));
}

std::string row_of(const Run& run, const fs::path& folder) {
  std::error_code ignored;
  const char* file = fs::exists(folder / run.folder / "report.html", ignored) ? "report.html" : "report.md";
  const std::string date = run.time == 0 ? "" : fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(run.time));
  if (!run.damage.empty())
    return fmt::format("<tr class=\"damaged\">{}{}{}{}{}{}{}</tr>\n", cell("run", words(run.folder.string())),
                       cell("date", date), cell("arms", ""), cell("model", ""), cell("build", ""),
                       cell("what came out", ""),
                       cell("failures", "<span class=\"status\">damaged</span>: " + words(run.damage)));
  const std::string link = fmt::format("<a href=\"{}\">{}</a>", link_to(run.folder / file), words(run.name));
  const std::string question = run.question.empty() ? "" : "<p>" + words(run.question) + "</p>";
  const std::string failures = failure_text(run);
  const std::string build =
      fmt::format("{}{}", words(run.revision), run.threads.empty() ? "" : "<p>" + words(run.threads) + " threads</p>");
  return fmt::format("<tr>{}{}{}{}{}{}{}</tr>\n",
                     cell("run", link + "<p>" + words(run.folder.string()) + "</p>" + question), cell("date", date),
                     cell("arms", arms_cell(run)), cell("model", run.model.empty() ? "not known" : words(run.model)),
                     cell("build", build), cell("what came out", words(run.verdict)),
                     cell("failures", failures.empty() ? "none" : "<span class=\"status\">" + failures + "</span>"));
}

}  // namespace

fs::path write_index(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw Error(folder.string(), "is no folder", "name the folder that holds the results of `attnlab run`");
  const std::vector<FoundRun> runs = find_runs(folder);
  if (runs.empty())
    throw Error(folder.string(), "holds no results folder", "name the folder that holds the results of `attnlab run`");
  std::string rows;
  for (const FoundRun& run : runs) rows += row_of(read_run(run, folder), folder);
  const fs::path file = folder / "index.html";
  write_atomically(
      file,
      filled_page(asset("index.html"),
                  {{"rows", rows}, {"count", fmt::format("{} {}", runs.size(), runs.size() == 1 ? "run" : "runs")}}));
  return file;
}

}  // namespace attnlab::report

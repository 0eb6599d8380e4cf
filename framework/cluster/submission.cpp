#include "cluster/submission.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <attnlab/error.h>

#include "report/read/text_file.h"
#include "report/read/trial_result.h"

namespace attnlab::cluster {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

fs::path study_file(const fs::path& results, int submission) {
  return submission_folder(results, submission) / "study.json";
}

// A path as one word of a shell.
std::string quoted(const fs::path& path) {
  std::string text = "'";
  for (const char c : path.string()) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw Error(folder.string(), "the folder cannot be made: " + failure.message());
}

template <class Read>
auto read_whole(const fs::path& path, const Read& read) {
  const json stored = report::read_json(path);
  try {
    if (stored.is_object() && stored.value("format", kFormat) > kFormat)
      throw Error(path.string(), "was written by a newer AttnLab", "use that one");
    return read(stored);
  } catch (const json::exception& error) {
    throw Error(path.string(), std::string("is damaged: ") + error.what(), "submit the study to another folder");
  }
}

std::vector<std::string> texts_of(const std::vector<fs::path>& paths) {
  std::vector<std::string> texts;
  for (const fs::path& path : paths) texts.push_back(path.string());
  return texts;
}

Unit unit_in(const std::string& line, const fs::path& path, std::size_t number) {
  try {
    return json::parse(line).get<Unit>();
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}:{}", path.string(), number + 1), std::string("is no unit: ") + error.what());
  }
}

}  // namespace

void write_study(const fs::path& results, int submission, const SubmittedStudy& study) {
  make_folder(submission_folder(results, submission));
  const experiment::PlanOptions& options = study.options;
  report::write_atomically(study_file(results, submission),
                           report::json_text({{"format", kFormat},
                                              {"file", study.file.string()},
                                              {"working_folder", study.working_folder.string()},
                                              {"set", options.overrides},
                                              {"only", options.only},
                                              {"threads", options.threads},
                                              {"plugins", texts_of(options.plugins)},
                                              {"texts", study.texts.texts},
                                              {"identity", study.identity}}));
}

std::optional<SubmittedStudy> read_study(const fs::path& results, int submission) {
  std::error_code none;
  if (submission < 0 || !fs::exists(study_file(results, submission), none)) return std::nullopt;
  return read_whole(study_file(results, submission), [](const json& stored) {
    SubmittedStudy study;
    study.file = stored.at("file").get<std::string>();
    study.working_folder = stored.at("working_folder").get<std::string>();
    stored.at("set").get_to(study.options.overrides);
    stored.at("only").get_to(study.options.only);
    stored.at("threads").get_to(study.options.threads);
    for (const json& path : stored.at("plugins")) study.options.plugins.emplace_back(path.get<std::string>());
    study.options.launcher = experiment::Launcher::slurm;
    stored.at("texts").get_to(study.texts.texts);
    study.texts.are_kept = true;
    stored.at("identity").get_to(study.identity);
    return study;
  });
}

const SubmittedArray* array_of(const Submission& submission, std::size_t unit) {
  auto array = std::ranges::upper_bound(submission.arrays, unit, {}, &SubmittedArray::first);
  if (array == submission.arrays.begin()) return nullptr;
  --array;
  return unit < array->first + static_cast<std::size_t>(array->count) ? &*array : nullptr;
}

fs::path submission_folder(const fs::path& results, int number) {
  return results / "jobs" / std::to_string(number);
}

void write_submission(const fs::path& results, const Submission& submission, const fs::path& program,
                      const std::string& setup) {
  const fs::path folder = submission_folder(results, submission.number);
  make_folder(folder / "logs");
  make_folder(folder / "rounds");
  // Of equal length: a job reads its own line alone.
  std::vector<std::string> units;
  std::size_t longest = 0;
  for (const Unit& unit : submission.units) longest = std::max(longest, units.emplace_back(json(unit).dump()).size());
  std::string lines;
  for (const std::string& unit : units) lines += unit + std::string(longest - unit.size(), ' ') + "\n";
  report::write_atomically(folder / "units.jsonl", lines);
  // The first argument is the number of the unit whose element would be the 0th.
  report::write_atomically(folder / "job.sh",
                           fmt::format("#!/bin/bash\n{}\nexec {} job {} {} $(($1 + SLURM_ARRAY_TASK_ID))\n", setup,
                                       quoted(program), quoted(results), submission.number));
  write_arrays(results, submission);
}

void write_arrays(const fs::path& results, const Submission& submission) {
  json arrays = json::array();
  for (const SubmittedArray& array : submission.arrays)
    arrays.push_back({{"name", array.name},
                      {"job", array.job},
                      {"first", array.first},
                      {"count", array.count},
                      {"first_task", array.first_task}});
  report::write_atomically(submission_folder(results, submission.number) / "arrays.json", report::json_text(arrays));
}

int count_submissions(const fs::path& results) {
  std::error_code none;
  int number = 0;
  while (fs::exists(submission_folder(results, number) / "arrays.json", none)) ++number;
  return number;
}

std::vector<Submission> read_submissions(const fs::path& results) {
  std::vector<Submission> all;
  const int count = count_submissions(results);
  for (int number = 0; number < count; ++number) {
    const fs::path folder = submission_folder(results, number);
    Submission submission{.number = number, .units = {}, .arrays = {}};
    std::ifstream file(folder / "units.jsonl");
    for (std::string line; std::getline(file, line);)
      submission.units.push_back(unit_in(line, folder / "units.jsonl", submission.units.size()));
    submission.arrays = read_whole(folder / "arrays.json", [](const json& stored) {
      std::vector<SubmittedArray> arrays;
      for (const json& one : stored)
        arrays.push_back({.name = one.at("name"),
                          .job = one.at("job"),
                          .first = one.at("first"),
                          .count = one.at("count"),
                          .first_task = one.at("first_task")});
      return arrays;
    });
    all.push_back(std::move(submission));
  }
  return all;
}

Unit read_unit(const fs::path& results, int submission, std::size_t index) {
  const fs::path path = submission_folder(results, submission) / "units.jsonl";
  std::ifstream file(path, std::ios::binary);
  std::string line;
  if (std::getline(file, line) && file.seekg(static_cast<std::streamoff>(index * (line.size() + 1))) &&
      std::getline(file, line))
    return unit_in(line, path, index);
  throw Error(path.string(), fmt::format("has no unit {}", index),
              "name a folder and a number that `attnlab run` wrote");
}

}  // namespace attnlab::cluster

#include "runner/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <vector>

#include <attnlab/error.h>

#include "report/read/trial_result.h"

namespace attnlab::experiment {
namespace fs = std::filesystem;
namespace {

// The names sort by time.
fs::path newest_in(const fs::path& folder) {
  fs::path newest;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none))
    if (entry.is_directory(none)) newest = std::max(newest, entry.path());
  if (newest.empty())
    throw Error(folder.string(), "there is no run of this experiment to go on with",
                "name its folder with -o, or run without --resume");
  return newest;
}

fs::path folder_for(const fs::path& named, const std::string& study, bool resumes) {
  if (!named.empty()) return named;
  const fs::path all = fs::path("results") / study;
  if (resumes) return newest_in(all);
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return all / fmt::format("{:%Y-%m-%dT%H-%M-%S}", fmt::localtime(now));
}

void check_usable(const fs::path& folder, bool resumes) {
  std::error_code error;
  if (!fs::exists(folder, error)) return;
  if (!fs::is_directory(folder, error)) throw Error(folder.string(), "is there and is no folder");
  if (fs::is_empty(folder, error)) return;
  if (!resumes) {
    if (fs::exists(folder / RunLock::kFile, error)) const RunLock who(folder);
    throw Error(folder.string(), "the results folder is not empty", "name another with -o, or continue with --resume");
  }
  if (!fs::exists(folder / "trials", error) && !fs::exists(folder / "environment.json", error) &&
      !fs::exists(folder / RunLock::kFile, error))
    throw Error(folder.string(), "is no results folder", "name a folder that `attnlab run` wrote");
}

// See report/read/text_file.
void remove_temporaries(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (fs::recursive_directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored))
    if (entry->path().filename().string().starts_with('.') && entry->path().extension() == ".tmp")
      found.push_back(entry->path());
  for (const fs::path& path : found) fs::remove(path, ignored);
}

}  // namespace

RunFolder::RunFolder(const fs::path& named, const std::string& study, bool resumes, bool others_write)
    : path_(folder_for(named, study, resumes)) {
  check_usable(path_, resumes);
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) throw Error(path_.string(), "the results folder cannot be made: " + error.message());
  lock_ = std::make_unique<RunLock>(path_);
  fs::create_directories(trials(), error);
  if (error) throw Error(trials().string(), "the folder cannot be made: " + error.message());
  if (!others_write) clear();
}

void RunFolder::clear() const {
  remove_temporaries(path_);
}

std::optional<nlohmann::json> RunFolder::earlier_environment() const {
  const fs::path file = path_ / "environment.json";
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  try {
    return report::read_json(file);
  } catch (const Error&) {  // it is written anew
    return std::nullopt;
  }
}

}  // namespace attnlab::experiment

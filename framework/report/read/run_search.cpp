#include "report/read/run_search.h"

#include <sys/stat.h>

#include <algorithm>

#include <attnlab/error.h>

namespace attnlab::report {
namespace {

namespace fs = std::filesystem;

constexpr int kDepth = 5;  // results/<name>/<run>, and a little more

std::time_t written_at(const fs::path& path) {
  struct stat entry = {};
  return stat(path.c_str(), &entry) == 0 ? entry.st_mtime : 0;
}

}  // namespace

std::vector<FoundRun> find_runs(const fs::path& folder) {
  std::vector<FoundRun> runs;
  std::error_code failure;
  const auto look_at = [&](const fs::path& path) {
    std::error_code ignored;
    const bool is_run = fs::exists(path / "environment.json", ignored) || fs::is_directory(path / "trials", ignored);
    if (is_run) runs.push_back({path, written_at(path / "environment.json")});
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
  // Of one second: by name, which is the time of its start.
  std::ranges::sort(runs, [](const FoundRun& one, const FoundRun& other) {
    return one.time != other.time ? one.time > other.time : one.folder > other.folder;
  });
  return runs;
}

fs::path newest_run(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return folder;
  const std::vector<FoundRun> runs = find_runs(folder);
  return runs.empty() || runs.front().time == 0 ? folder : runs.front().folder;
}

}  // namespace attnlab::report

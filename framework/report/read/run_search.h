// Results folders below a folder: results/<name> holds one for every run, results one for every study and run.
#pragma once

#include <ctime>
#include <filesystem>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::report {

struct FoundRun {
  std::filesystem::path folder;  // below the folder that was searched, with it
  std::time_t time = 0;          // environment.json was written then; 0 where it is missing
};

/// Whatever looks like a results folder, damaged ones too: `folder` itself, or those below it, newest first. Error
/// where it cannot be read.
[[nodiscard]] ATTNLAB_API std::vector<FoundRun> find_runs(const std::filesystem::path& folder);

/// The folder itself where it holds results (or nothing does), else the newest run below it that has an
/// environment.json.
[[nodiscard]] ATTNLAB_API std::filesystem::path newest_run(const std::filesystem::path& folder);

}  // namespace attnlab::report

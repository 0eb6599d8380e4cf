// Folders of the same study from several machines become one: arms, cases and seeds together, rounds one behind the
// other, what is measured once taken once.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <attnlab/api.h>

namespace attnlab::report {

struct Merged {
  std::size_t trials = 0;
  std::size_t twice = 0;  // trials that more than one folder had, and that count once
  std::vector<std::string> warnings;
};

/// Writes trials/, training/ and environment.json of `out`, which must be new or empty; not the reports. Weights stay
/// where they are. `is_once`: whether trials of this workload are measured once, not round by round.
/// Error with every reason why the folders are not of one study: another model, other data, another arm of the same
/// name, another baseline or number of threads; or where one is damaged. Then `out` is left alone.
ATTNLAB_API Merged merge_runs(const std::vector<std::filesystem::path>& folders, const std::filesystem::path& out,
                              const std::function<bool(const std::string& workload)>& is_once);

}  // namespace attnlab::report

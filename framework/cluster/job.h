// What one job of a cluster does: it plans its part of the study again, from the files as they were when it was
// submitted, measures one unit, and leaves the results in the study's folder.
#pragma once

#include <cstddef>
#include <filesystem>

#include <attnlab/api.h>

namespace attnlab::cluster {

/// True where the unit came to its end: trials that failed are results too, a training that failed is not, so that what
/// depends on it is not begun. Error where the study is not what was submitted any more, or results cannot be written.
[[nodiscard]] ATTNLAB_API bool run_job(const std::filesystem::path& results, int submission, std::size_t unit);

}  // namespace attnlab::cluster

// index.html over many runs: which there are, what was asked, what came out, what failed. What `attnlab report --index`
// writes.
#pragma once

#include <filesystem>

#include <attnlab/api.h>

namespace attnlab::report {

/// Looks for results folders in `folder` and below, newest first, and writes `folder`/index.html. A damaged one is
/// listed with its reason. Returns the file. Error where `folder` holds no results at all.
ATTNLAB_API std::filesystem::path write_index(const std::filesystem::path& folder);

}  // namespace attnlab::report

// What this build is: the one place that knows the macros CMake sets, so that a new commit recompiles one small file.
#pragma once

#include <string>

#include <attnlab/api.h>

namespace attnlab::experiment {

struct BuildInfo {
  std::string compiler;        // "GNU 12.2.0"
  std::string build_type;      // "Release"
  std::string libraries;       // "boost 1.74.0, tbb 2021.8.0, ..."
  std::string git_revision;    // "unknown" outside a git checkout
  std::string boost_includes;  // the folder in which `boost` was found; empty: not known
};

[[nodiscard]] ATTNLAB_API BuildInfo build_info();

}  // namespace attnlab::experiment

// Where a result was measured: what is needed to repeat it or to judge it. Becomes environment.json.
// The machine is described, not identified: no host name, no user, no folders.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <attnlab/api.h>
#include <nlohmann/json_fwd.hpp>

#include "machine/build_info.h"
#include "machine/cache_sizes.h"
#include "machine/roof.h"

namespace attnlab::experiment {

struct PluginFile {
  std::string file;    // its name without the folder
  std::string sha256;  // of its bytes

  friend bool operator==(const PluginFile&, const PluginFile&) = default;
};

struct Environment {
  std::string cpu;                     // model name
  std::vector<std::string> cpu_flags;  // those that change speed or numerics here
  std::string simd_target;             // what the kernels dispatch to
  int logical_cores = 0;               // that the system shows
  int threads = 0;                     // that the run uses
  CacheSizes caches;
  std::int64_t memory_bytes = 0;
  std::string kernel;  // "Linux 6.1.0 x86_64"
  BuildInfo build;
  std::vector<PluginFile> plugins;
  std::array<double, 3> load_average = {};  // of 1, 5 and 15 minutes, when this was taken
  Roof roof;
};

/// Looks at the machine; measures nothing (`roof` stays empty, see measure_roof). Throws Error where a plugin file
/// cannot be read.
[[nodiscard]] ATTNLAB_API Environment read_environment(int threads, const std::vector<std::filesystem::path>& plugins);

/// The result folder's environment.json; the run adds the key "study" (see report/read/study_layout.h).
ATTNLAB_API void to_json(nlohmann::json& json, const Environment& environment);

}  // namespace attnlab::experiment

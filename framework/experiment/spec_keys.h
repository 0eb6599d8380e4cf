// Every key that an experiment may hold, with its type, bounds and meaning: what the readers of spec*.cpp and arms.cpp
// take, and what the JSON Schema says. Options of plugins come from the plugins.
#pragma once

#include <string_view>
#include <vector>

#include <attnlab/api.h>

#include "config/keys.h"

namespace attnlab::experiment {

/// `prefill: all`: everything is the prompt.
inline constexpr const char* kWholePrefill = "all";

inline constexpr int kMaxRepeats = 10'000;

[[nodiscard]] ATTNLAB_API const config::KeyTable& experiment_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& repeats_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& limits_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& constructed_model_keys();

[[nodiscard]] ATTNLAB_API const config::KeyTable& arms_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& grid_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& arm_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& pattern_keys();

/// What every cache takes beside its own options.
[[nodiscard]] ATTNLAB_API const config::KeyTable& common_cache_keys();
/// The storages of keys and values apart: {k: ..., v: ..., page: ...}.
[[nodiscard]] ATTNLAB_API const config::KeyTable& storage_keys();
[[nodiscard]] ATTNLAB_API const config::KeyTable& kivi_keys();

/// Element types and kivi, by the names that `storage:` takes; `keys` are the options of the name.
struct StorageKeys {
  std::string_view name;
  std::string_view doc;
  config::KeyTable keys;
};
[[nodiscard]] ATTNLAB_API const std::vector<StorageKeys>& storage_kinds();

struct WorkloadKeys {
  std::string_view name;
  std::string_view doc;
  config::KeyTable keys;
};
/// In the order of the variant `Workload`.
[[nodiscard]] ATTNLAB_API const std::vector<WorkloadKeys>& workload_keys();
/// `{each: q1s*, range: [1k, 16k], factor: 2}` among batches.
[[nodiscard]] ATTNLAB_API const config::KeyTable& batch_range_keys();

}  // namespace attnlab::experiment

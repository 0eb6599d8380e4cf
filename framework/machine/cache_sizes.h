// How large the caches are. A read probe that fits in them measures the wrong thing, and a measurement whose data fit
// in them is labelled as such. Several sources, because virtual machines leave some of them empty.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <attnlab/api.h>

namespace attnlab::experiment {

/// Bytes of one instance of each level (what one core, or the cores that share it, can fill); 0 where not known.
struct CacheSizes {
  std::int64_t l1d_bytes = 0;
  std::int64_t l2_bytes = 0;
  std::int64_t l3_bytes = 0;
  int l3_instances = 1;  // in the whole machine
  std::string source;    // "sysfs", "cpuid", "sysconf" or "unknown"
};

/// The first source that knows the L2: sysfs, cpuid, sysconf.
[[nodiscard]] ATTNLAB_API CacheSizes cache_sizes(int logical_cores);

/// What sysfs says, `cpu_folder` being /sys/devices/system/cpu. Nothing where it is empty, as on some virtual machines.
[[nodiscard]] ATTNLAB_API std::optional<CacheSizes> cache_sizes_of_sysfs(const std::filesystem::path& cpu_folder);

}  // namespace attnlab::experiment

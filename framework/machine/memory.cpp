#include "machine/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

namespace attnlab::experiment {
namespace {

// A line of /proc/meminfo: "MemTotal:       24736548 kB".
std::optional<std::int64_t> meminfo_bytes(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  std::int64_t kib = 0;
  while (file >> word)
    if (word == key + ":" && file >> kib) return kib << 10;
  return std::nullopt;
}

// A file of one number; "max" stands for no limit.
std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

}  // namespace

std::int64_t total_memory_bytes() {
  return meminfo_bytes("MemTotal").value_or(0);
}

std::int64_t memory_limit_bytes() {
  std::int64_t limit_bytes = meminfo_bytes("MemTotal").value_or(std::int64_t{1} << 30);
  if (const auto group_limit = number_in("/sys/fs/cgroup/memory.max"))
    limit_bytes = std::min(limit_bytes, *group_limit);
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    limit_bytes = static_cast<std::int64_t>(std::min<std::uint64_t>(limit_bytes, limit.rlim_cur));
  return limit_bytes;
}

}  // namespace attnlab::experiment

#include "machine/cache_sizes.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <set>
#include <system_error>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

namespace attnlab::experiment {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// "32K", "1024K", "8M".
std::int64_t bytes_of(const std::string& text) {
  char* end = nullptr;
  const std::int64_t number = std::strtoll(text.c_str(), &end, 10);
  switch (*end) {
    case 'K':
      return number << 10;
    case 'M':
      return number << 20;
    case 'G':
      return number << 30;
    default:
      return number;
  }
}

void set_level(CacheSizes& sizes, int level, std::int64_t bytes) {
  if (level == 1) sizes.l1d_bytes = bytes;
  if (level == 2) sizes.l2_bytes = bytes;
  if (level == 3) sizes.l3_bytes = bytes;
}

#if defined(__x86_64__) || defined(__i386__)
// Leaf 4 (Intel) and 0x8000001D (AMD) have the same layout; a hypervisor may leave both empty.
std::optional<CacheSizes> cache_sizes_of_cpuid(int logical_cores) {
  for (const unsigned leaf : {4u, 0x8000001Du}) {
    CacheSizes sizes;
    sizes.source = "cpuid";
    for (unsigned index = 0; index < 8; ++index) {
      unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
      if (!__get_cpuid_count(leaf, index, &eax, &ebx, &ecx, &edx)) break;
      const unsigned type = eax & 31;
      if (type == 0) break;
      if (type == 2) continue;  // instructions only
      const int level = static_cast<int>(eax >> 5 & 7);
      const std::int64_t ways = (ebx >> 22) + 1;
      const std::int64_t partitions = (ebx >> 12 & 1023) + 1;
      const std::int64_t line_bytes = (ebx & 4095) + 1;
      set_level(sizes, level, ways * partitions * line_bytes * (static_cast<std::int64_t>(ecx) + 1));
      const int sharing = static_cast<int>(eax >> 14 & 4095) + 1;
      if (level == 3) sizes.l3_instances = std::max(1, (logical_cores + sharing - 1) / sharing);
    }
    if (sizes.l2_bytes > 0) return sizes;
  }
  return std::nullopt;
}

bool is_amd() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
}
#else
std::optional<CacheSizes> cache_sizes_of_cpuid(int) {
  return std::nullopt;
}
bool is_amd() {
  return false;
}
#endif

std::optional<CacheSizes> cache_sizes_of_sysconf() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  CacheSizes sizes;
  sizes.source = "sysconf";
  sizes.l1d_bytes = std::max(0L, sysconf(_SC_LEVEL1_DCACHE_SIZE));
  sizes.l2_bytes = std::max(0L, sysconf(_SC_LEVEL2_CACHE_SIZE));
  sizes.l3_bytes = std::max(0L, sysconf(_SC_LEVEL3_CACHE_SIZE));
  // On AMD this is the sum over the socket, of which a core can fill only its own instance: 96 MiB at most so far
  // (32 MiB on a die and 64 MiB stacked on it).
  constexpr std::int64_t kLargestInstance = std::int64_t{96} << 20;
  if (is_amd() && sizes.l3_bytes > kLargestInstance) {
    sizes.l3_instances = static_cast<int>((sizes.l3_bytes + kLargestInstance - 1) / kLargestInstance);
    sizes.l3_bytes = kLargestInstance;
  }
  if (sizes.l2_bytes > 0) return sizes;
#endif
  return std::nullopt;
}

}  // namespace

std::optional<CacheSizes> cache_sizes_of_sysfs(const fs::path& cpu_folder) {
  CacheSizes sizes;
  sizes.source = "sysfs";
  std::set<std::string> l3_sharers;
  std::error_code ignored;
  for (const fs::directory_entry& cpu : fs::directory_iterator(cpu_folder, ignored)) {
    const std::string name = cpu.path().filename();
    if (!name.starts_with("cpu") || name.size() < 4 || !std::isdigit(static_cast<unsigned char>(name[3]))) continue;
    for (const fs::directory_entry& index : fs::directory_iterator(cpu.path() / "cache", ignored)) {
      if (first_line(index.path() / "type") == "Instruction") continue;
      const int level = std::atoi(first_line(index.path() / "level").c_str());
      const std::int64_t bytes = bytes_of(first_line(index.path() / "size"));
      if (bytes <= 0) continue;
      if (level == 3) l3_sharers.insert(first_line(index.path() / "shared_cpu_list"));
      if (name == "cpu0") set_level(sizes, level, bytes);
    }
  }
  sizes.l3_instances = std::max(1, static_cast<int>(l3_sharers.size()));
  if (sizes.l2_bytes > 0) return sizes;
  return std::nullopt;
}

CacheSizes cache_sizes(int logical_cores) {
  if (const auto sizes = cache_sizes_of_sysfs("/sys/devices/system/cpu")) return *sizes;
  if (const auto sizes = cache_sizes_of_cpuid(logical_cores)) return *sizes;
  if (const auto sizes = cache_sizes_of_sysconf()) return *sizes;
  return {.source = "unknown"};
}

}  // namespace attnlab::experiment

#include "machine/environment.h"

#include <stdlib.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "machine/memory.h"
#include "ops/instruction_limit.h"
#include "ops/probe_kernels.h"

namespace attnlab::experiment {
namespace {

constexpr std::string_view kFlagsThatMatter[] = {
    "sse4_2",   "avx",         "avx2",        "fma",         "f16c",     "avx_vnni", "avx512f",  "avx512bw",
    "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",  // x86
    "asimd",    "asimdhp",     "asimddp",     "sve",         "sve2",     "bf16",     "i8mm"};     // Arm

void read_cpuinfo(Environment& environment) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && (environment.cpu.empty() || environment.cpu_flags.empty())) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = colon + 2 <= line.size() ? line.substr(colon + 2) : std::string();
    if (key == "model name" && environment.cpu.empty()) environment.cpu = value;
    if ((key == "flags" || key == "Features") && environment.cpu_flags.empty()) {
      std::istringstream flags(value);
      for (std::string flag; flags >> flag;)
        if (std::ranges::find(kFlagsThatMatter, flag) != std::end(kFlagsThatMatter))
          environment.cpu_flags.push_back(flag);
    }
  }
  if (environment.cpu.empty()) environment.cpu = "unknown";
}

std::string kernel_name() {
  utsname name{};
  if (uname(&name) != 0) return "unknown";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

}  // namespace

Environment read_environment(int threads, const std::vector<std::filesystem::path>& plugins) {
  Environment environment;
  read_cpuinfo(environment);
  environment.simd_target = attnlab::simd_target();
  if (!instruction_limit().empty()) environment.simd_target += ", at most " + instruction_limit();
  environment.logical_cores = static_cast<int>(std::thread::hardware_concurrency());
  environment.threads = threads;
  environment.caches = cache_sizes(environment.logical_cores);
  environment.memory_bytes = total_memory_bytes();
  environment.kernel = kernel_name();
  environment.build = build_info();
  for (const std::filesystem::path& plugin : plugins)
    environment.plugins.push_back({plugin.filename().string(), sha256_of_file(plugin)});
  if (getloadavg(environment.load_average.data(), 3) != 3) environment.load_average = {};
  return environment;
}

void to_json(nlohmann::json& json, const Environment& environment) {
  nlohmann::json plugins = nlohmann::json::array();
  for (const PluginFile& plugin : environment.plugins)
    plugins.push_back({{"file", plugin.file}, {"sha256", plugin.sha256}});
  const CacheSizes& caches = environment.caches;
  const BuildInfo& build = environment.build;
  json = {{"cpu", environment.cpu},
          {"cpu_flags", environment.cpu_flags},
          {"simd_target", environment.simd_target},
          {"logical_cores", environment.logical_cores},
          {"threads", environment.threads},
          {"caches",
           {{"l1d_bytes", caches.l1d_bytes},
            {"l2_bytes", caches.l2_bytes},
            {"l3_bytes", caches.l3_bytes},
            {"l3_instances", caches.l3_instances},
            {"source", caches.source}}},
          {"memory_bytes", environment.memory_bytes},
          {"kernel", environment.kernel},
          {"build",
           {{"compiler", build.compiler},
            {"build_type", build.build_type},
            {"libraries", build.libraries},
            {"git_revision", build.git_revision}}},
          {"plugins", plugins},
          {"load_average", environment.load_average},
          {"roof", environment.roof}};
}

}  // namespace attnlab::experiment

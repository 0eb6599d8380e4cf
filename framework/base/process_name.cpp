#include "base/process_name.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>

#include <fmt/format.h>

#include "base/fnv1a.h"

namespace attnlab {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

const std::string& host_token() {
  static const std::string token = [] {
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    return fmt::format("{:08x}", static_cast<std::uint32_t>(fnv1a(host_name() + boot)));
  }();
  return token;
}

std::string process_name() {
  return host_token() + "-" + std::to_string(getpid());
}

}  // namespace attnlab

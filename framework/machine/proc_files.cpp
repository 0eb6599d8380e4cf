#include "machine/proc_files.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <vector>

namespace attnlab::experiment {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

double ticks_a_second() {
  return static_cast<double>(sysconf(_SC_CLK_TCK));
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// The words after the name in /proc/PID/stat, which may hold blanks and brackets: the first is the state, field 3.
std::vector<std::string> fields_behind_name(pid_t process) {
  const std::string text = text_of("/proc/" + std::to_string(process) + "/stat");
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream words(text.substr(end + 1));
  return {std::istream_iterator<std::string>(words), {}};
}

}  // namespace

std::optional<CpuTimes> cpu_times_in(const std::string& stat) {
  std::istringstream words(stat);
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, interrupts = 0, soft_interrupts = 0, steal = 0;
  if (!(words >> name >> user >> nice >> system >> idle >> wait >> interrupts >> soft_interrupts) || name != "cpu")
    return std::nullopt;
  words >> steal;  // kernels before 2.6.11 have none; time of guests is part of user
  const double busy = user + nice + system + interrupts + soft_interrupts;
  const double tick = 1 / ticks_a_second();
  return CpuTimes{busy * tick, steal * tick, (busy + idle + wait + steal) * tick};
}

std::optional<CpuTimes> cpu_times() {
  return cpu_times_in(text_of("/proc/stat"));
}

double own_cpu_seconds() {
  double sum = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    if (getrusage(who, &used) == 0) sum += seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  }
  return sum;
}

std::optional<std::uint64_t> start_ticks(pid_t process) {
  const std::vector<std::string> fields = fields_behind_name(process);
  constexpr std::size_t kStart = 22 - 3;
  if (fields.size() <= kStart || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
  return std::strtoull(fields[kStart].c_str(), nullptr, 10);
}

double process_age_seconds() {
  double uptime = 0;
  std::istringstream(text_of("/proc/uptime")) >> uptime;
  const auto start = start_ticks(getpid());
  return start ? uptime - static_cast<double>(*start) / ticks_a_second() : 0;
}

std::int64_t resident_bytes(pid_t process) {
  std::int64_t size = 0, resident = 0;
  std::istringstream(text_of("/proc/" + std::to_string(process) + "/statm")) >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::string boot_id() {
  std::string id;
  std::istringstream(text_of("/proc/sys/kernel/random/boot_id")) >> id;
  return id;
}

std::optional<double> frequency_mhz() {
  namespace fs = std::filesystem;
  double sum = 0;
  int count = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/sys/devices/system/cpu", none)) {
    double khz = 0;
    std::ifstream file(entry.path() / "cpufreq/scaling_cur_freq");
    if (!(file >> khz)) continue;
    sum += khz / 1000;
    ++count;
  }
  if (count > 0) return sum / count;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (const std::size_t colon = line.find(':'); line.starts_with("cpu MHz") && colon != std::string::npos) {
      sum += std::strtod(line.c_str() + colon + 1, nullptr);
      ++count;
    }
  if (count == 0) return std::nullopt;
  return sum / count;
}

}  // namespace attnlab::experiment

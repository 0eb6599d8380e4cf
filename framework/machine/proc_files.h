// Facts about the system and its processes, read from /proc. Where a file is missing or has another form, no value is
// returned.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include <attnlab/api.h>

namespace attnlab::experiment {

/// Seconds of all processors together since the system started.
struct CpuTimes {
  double busy = 0;   // any process, and interrupts
  double steal = 0;  // taken by the host of a virtual machine
  double total = 0;
};

/// `stat` is the text of /proc/stat.
[[nodiscard]] ATTNLAB_API std::optional<CpuTimes> cpu_times_in(const std::string& stat);
[[nodiscard]] ATTNLAB_API std::optional<CpuTimes> cpu_times();

/// Processor seconds of this process and of its children that have ended and were waited for.
[[nodiscard]] ATTNLAB_API double own_cpu_seconds();

/// When a process began, in ticks since the system started: with the id it names one process. None for one that is
/// gone, a zombie included.
[[nodiscard]] ATTNLAB_API std::optional<std::uint64_t> start_ticks(pid_t process);
/// Since this process began.
[[nodiscard]] ATTNLAB_API double process_age_seconds();
/// In memory at this moment; 0 for a process that is gone.
[[nodiscard]] ATTNLAB_API std::int64_t resident_bytes(pid_t process);
/// Differs from start to start of the system; empty where it does not say.
[[nodiscard]] ATTNLAB_API std::string boot_id();
/// The mean clock of all processors at this moment in MHz, where the system says.
[[nodiscard]] ATTNLAB_API std::optional<double> frequency_mhz();

}  // namespace attnlab::experiment

// A child process that sends lines to its parent, so that code that crashes or hangs does not end the parent. It is a
// fork: it may use all objects of the parent, and must be started while no threads run.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace attnlab {

class LineProcess {
 public:
  using Clock = std::chrono::steady_clock;
  using Send = std::function<void(std::string_view line)>;  // a line has no line breaks

  /// `body` runs in the process, which ends with it. Error where no process can be had.
  explicit LineProcess(const std::function<void(const Send&)>& body);
  ~LineProcess();
  LineProcess(const LineProcess&) = delete;
  LineProcess& operator=(const LineProcess&) = delete;

  /// Waits for the next line. None: the process has ended, or took longer than this, counted from `since`, and was
  /// ended; see `why`.
  [[nodiscard]] std::optional<std::string> next(double seconds, Clock::time_point since = Clock::now());
  /// Why there are no more lines: what the process said of its crash, or the signal, the exit code or the limit. Empty
  /// where it came to its end.
  [[nodiscard]] const std::string& why() const noexcept { return why_; }

 private:
  enum class Heard { line, end, nothing };
  Heard hear(Clock::time_point deadline, std::string& line);
  void end(const std::string& cause);

  pid_t pid_ = -1;
  int lines_ = -1;
  std::string received_;
  std::string crash_;  // the call that was running, in the words of base/crash_report
  std::string why_;
};

}  // namespace attnlab

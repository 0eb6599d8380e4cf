#include "base/line_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <attnlab/error.h>

#include "base/crash_report.h"
#include "base/plugin_call.h"

namespace attnlab {
namespace {

constexpr std::string_view kCrash = "attnlab: ";
// For a process that is ended to say what it was doing.
constexpr std::chrono::milliseconds kLastWords{300};

void write_line(int descriptor, std::string_view text) {
  std::string line(text);
  line += '\n';
  for (std::size_t at = 0; at < line.size();) {
    const ssize_t sent = write(descriptor, line.data() + at, line.size() - at);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) _exit(1);  // the parent has closed its end
    at += static_cast<std::size_t>(sent);
  }
}

}  // namespace

LineProcess::LineProcess(const std::function<void(const Send&)>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw Error("", fmt::format("no process: {}", std::strerror(errno)));
  std::fflush(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    close(ends[0]);
    report_crashes_to(ends[1]);
    name_termination();
    try {
      body([&](std::string_view line) { write_line(ends[1], line); });
    } catch (...) {
      write_line(ends[1], std::string(kCrash) + current_exception_text());
    }
    std::fflush(nullptr);
    _exit(0);
  }
  const int fault = errno;
  close(ends[1]);
  lines_ = ends[0];
  if (pid_ > 0) return;
  close(lines_);
  throw Error("", fmt::format("no process: {}", std::strerror(fault)));
}

LineProcess::~LineProcess() {
  end("");
  close(lines_);
}

std::optional<std::string> LineProcess::next(double seconds, Clock::time_point since) {
  const auto deadline = since + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::string line;
  while (pid_ > 0) {
    switch (hear(deadline, line)) {
      case Heard::line:
        if (!line.starts_with(kCrash)) return line;
        crash_ = line.substr(kCrash.size());
        continue;
      case Heard::end:
        end("");
        break;
      case Heard::nothing:
        kill(pid_, SIGTERM);
        while (hear(Clock::now() + kLastWords, line) == Heard::line)
          if (line.starts_with(kCrash)) crash_ = line.substr(kCrash.size());
        end(fmt::format("took longer than the limit of {:g} s", seconds));
        break;
    }
  }
  return std::nullopt;
}

LineProcess::Heard LineProcess::hear(Clock::time_point deadline, std::string& line) {
  for (;;) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return Heard::line;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return Heard::nothing;
    pollfd watched{lines_, POLLIN, 0};
    if (poll(&watched, 1, static_cast<int>(std::min<std::int64_t>(left, 1'000'000))) <= 0) continue;
    char piece[1 << 12];
    const ssize_t got = read(lines_, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Heard::end;
    received_.append(piece, static_cast<std::size_t>(got));
  }
}

void LineProcess::end(const std::string& cause) {
  if (pid_ <= 0) return;
  // One that said all that it has to say is about to end by itself; a child of its own may keep the pipe open.
  siginfo_t ended{};
  for (int waited_ms = 0; cause.empty() && ended.si_pid == 0 && waited_ms < 1000; ++waited_ms) {
    if (waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0) break;
    if (ended.si_pid == 0) poll(nullptr, 0, 1);
  }
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  why_ = cause;
  if (!crash_.empty())
    why_ += (why_.empty() ? "" : "; ") + crash_;
  else if (why_.empty() && WIFSIGNALED(status))
    why_ = fmt::format("the process was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else if (why_.empty() && WEXITSTATUS(status) != 0)
    why_ = fmt::format("the process ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace attnlab

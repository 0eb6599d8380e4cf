#include "runner/trial_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include <attnlab/error.h>

#include "base/crash_report.h"
#include "machine/proc_files.h"
#include "report/read/format.h"
#include "runner/interrupt.h"
#include "runner/turn_messages.h"

namespace attnlab::experiment {
namespace {

constexpr int kMemoryWatchMs = 50;  // a look takes some 20 us
constexpr int kWaitMs = 500;        // between two updates of the run's progress
constexpr int kLastWordsMs = 200;   // of a process that is to be ended

// The line that names the plugin that ended the process (base/crash_report), without its prefix, and what else was
// written.
struct LastWords {
  std::string named, others;
};

LastWords split(std::string words) {
  constexpr std::string_view kPrefix = "attnlab: ";
  const std::size_t line = words.rfind(kPrefix);
  if (line == std::string::npos) return {"", std::move(words)};
  const std::size_t end = std::min(words.find('\n', line), words.size());
  LastWords found{words.substr(line + kPrefix.size(), end - line - kPrefix.size()), words.erase(line, end + 1 - line)};
  while (!found.others.empty() && found.others.back() == '\n') found.others.pop_back();
  return found;
}

[[noreturn]] void no_process(int fault) {
  throw Error("", fmt::format("no trial process can be started: {}", std::strerror(fault)));
}

}  // namespace

TrialProcess::TrialProcess(const Plan& plan, const TrialStart& start) : plan_(plan), start_(start) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) no_process(errno);
  output_ = memfd_create("attnlab-trial", MFD_CLOEXEC);
  std::fflush(nullptr);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) {
    const int fault = errno;
    for (const int descriptor : {sockets[0], sockets[1], output_})
      if (descriptor >= 0) close(descriptor);
    no_process(fault);
  }
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    leave_interrupts_to_parent();
    name_termination();
    close(sockets[0]);
    if (output_ >= 0) {
      dup2(output_, STDOUT_FILENO);
      dup2(output_, STDERR_FILENO);
    }
    int code = 0;
    try {
      serve_trials(sockets[1], plan, start);
    } catch (const std::exception& error) {  // no memory for an answer
      fmt::print(stderr, "{}\n", error.what());
      code = 1;
    }
    std::fflush(nullptr);
    _exit(code);
  }
  close(sockets[1]);
  socket_ = sockets[0];
}

TrialProcess::~TrialProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    static_cast<void>(wait_for_end());
  }
  for (const int descriptor : {socket_, output_})
    if (descriptor >= 0) close(descriptor);
}

report::TrialResult TrialProcess::ask(const TrialRequest& request, const std::function<void()>& waits) {
  request_ = request;
  left_seconds_ = plan_.cases[request.planned_case].limit_seconds;
  return *exchange(&request_, sizeof request_, waits);
}

std::optional<report::TrialResult> TrialProcess::begin(TrialRequest request, const std::function<void()>& waits) {
  request.in_turns = 1;
  request_ = request;
  left_seconds_ = plan_.cases[request.planned_case].limit_seconds;
  return exchange(&request_, sizeof request_, waits);
}

std::optional<report::TrialResult> TrialProcess::take_turn(const TurnPlan& plan, const std::function<void()>& waits) {
  return exchange(&plan, sizeof plan, waits);
}

std::optional<report::TrialResult> TrialProcess::exchange(const void* bytes, std::size_t count,
                                                          const std::function<void()>& waits) {
  report::TrialResult result =
      trial_frame(plan_, start_.arm, request_.planned_case, start_.seed, static_cast<int>(request_.round));
  const Clock::time_point start = Clock::now();
  const Patience patience{
      plan_.cases[request_.planned_case].limit_seconds,
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(left_seconds_)),
      request_.what == TrialRequest::What::train, waits};
  std::string text;
  if (!write_all(socket_, bytes, count) || !receive(patience, text, result)) {
    if (!is_alive()) return result;  // killed for a limit, which the result says
    result.status = "failed";
    result.reason = cause_of_death();
    return result;
  }
  left_seconds_ -= std::chrono::duration<double>(Clock::now() - start).count();
  const nlohmann::json message = nlohmann::json::parse(text);
  const TurnMessage turn = read_turn_message(message, work_);
  if (!turn.waits) return message.get<report::TrialResult>();
  work_ = turn.begins;
  slice_ = turn.slice;
  return std::nullopt;
}

// False where the stream ended, or the process had to be killed.
bool TrialProcess::receive(const Patience& patience, std::string& text, report::TrialResult& result) {
  const Limits& limits = plan_.spec.limits;
  std::string received;
  std::uint64_t length = 0;
  while (received.size() < sizeof length || received.size() < sizeof length + length) {
    if (limits.memory > 0)
      if (const std::int64_t held = resident_bytes(pid_); static_cast<std::uint64_t>(held) > limits.memory) {
        kill_for(result, "failed",
                 fmt::format("out of memory: the process held {}, the limit is {}",
                             report::format_bytes(static_cast<double>(held)),
                             report::format_bytes(static_cast<double>(limits.memory))));
        return false;
      }
    patience.waits();
    if (patience.ends_when_interrupted && interrupted() != 0) {
      kill_for(result, kInterrupted, "");
      return false;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patience.deadline - Clock::now()).count();
    if (left <= 0) {
      kill_for(result, "timed_out",
               fmt::format("it took longer than the limit of {} s{}", patience.seconds,
                           limits.seconds > 0 ? "" : ", which `limits: {seconds: ...}` changes"));
      return false;
    }
    const int pause_ms = limits.memory > 0 ? kMemoryWatchMs : kWaitMs;
    const int wait_ms = static_cast<int>(std::min<std::int64_t>(left, pause_ms));
    pollfd watched{socket_, POLLIN, 0};
    const int ready = poll(&watched, 1, wait_ms);
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    char piece[1 << 16];
    const ssize_t got = read(socket_, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    received.append(piece, static_cast<std::size_t>(got));
    if (received.size() >= sizeof length) std::memcpy(&length, received.data(), sizeof length);
  }
  text = received.substr(sizeof length);
  return true;
}

int TrialProcess::wait_for_end() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

void TrialProcess::kill_for(report::TrialResult& result, std::string status, std::string reason) {
  // Asked first, it says which plugin was being called.
  kill(pid_, SIGTERM);
  siginfo_t end{};
  for (int waited_ms = 0; waited_ms < kLastWordsMs && end.si_pid == 0; waited_ms += 5) {
    poll(nullptr, 0, 5);
    if (waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG | WNOWAIT) != 0) break;
  }
  kill(pid_, SIGKILL);
  static_cast<void>(wait_for_end());
  result.status = std::move(status);
  result.reason = std::move(reason);
  const auto [named, others] = split(last_words());
  if (!named.empty()) result.reason += "; " + named;
  if (!others.empty()) result.reason += "; it wrote: " + others;
}

std::string TrialProcess::cause_of_death() {
  const int status = wait_for_end();
  const auto [named, words] = split(last_words());
  std::string reason;
  if (WIFSIGNALED(status)) {
    reason = fmt::format("the process was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    if (WTERMSIG(status) == SIGKILL) reason += ", which is what the system does when memory runs out";
  } else {
    reason = fmt::format("the process ended with exit code {}", WEXITSTATUS(status));
  }
  if (words.find("std::bad_alloc") != std::string::npos) reason = "out of memory: " + reason;
  if (!named.empty()) reason = named.find("ended by signal") != std::string::npos ? named : named + "; " + reason;
  if (!words.empty()) reason += "; it wrote: " + words;
  return reason;
}

std::string TrialProcess::last_words() const {
  if (output_ < 0) return {};
  constexpr off_t kShown = 1500;
  const off_t size = lseek(output_, 0, SEEK_END);
  const off_t from = std::max<off_t>(0, size - kShown);
  std::string last(static_cast<std::size_t>(std::max<off_t>(size - from, 0)), '\0');
  const ssize_t got = pread(output_, last.data(), last.size(), from);
  last.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  while (!last.empty() && (last.back() == '\n' || last.back() == '\r')) last.pop_back();
  return last;
}

}  // namespace attnlab::experiment

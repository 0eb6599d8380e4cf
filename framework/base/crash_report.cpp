#include "base/crash_report.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

#include "base/plugin_call.h"

namespace attnlab {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

std::atomic<int> report_to{STDERR_FILENO};
std::atomic_flag is_reported;  // one line a process: the first is the cause

// A line put together without the heap, which may be what is broken.
class Line {
 public:
  Line() { add("attnlab: "); }
  Line& add(std::string_view text) noexcept {
    const std::size_t count = std::min(text.size(), sizeof text_ - 1 - size_);
    std::memcpy(text_ + size_, text.data(), count);
    size_ += count;
    return *this;
  }
  Line& add(unsigned number) noexcept {
    char digits[12];
    char* at = digits + sizeof digits;
    do *--at = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    return add({at, static_cast<std::size_t>(digits + sizeof digits - at)});
  }
  void write_once() noexcept {
    if (is_reported.test_and_set()) return;
    for (std::size_t i = 0; i < size_; ++i)
      if (static_cast<unsigned char>(text_[i]) < 0x20) text_[i] = ' ';
    text_[size_++] = '\n';
    for (std::size_t at = 0; at < size_;) {
      const ssize_t sent = ::write(report_to, text_ + at, size_ - at);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }

 private:
  char text_[2048];
  std::size_t size_ = 0;
};

struct sigaction before[NSIG];

extern "C" void name_signal(int signal, siginfo_t* cause, void*) {
  Line line;
  const PluginCall* call = PluginCall::running();
  line.add(call == nullptr ? "internal error" : std::string_view(call->callee().text()));
  line.add(": ended by signal ").add(static_cast<unsigned>(signal));
  if (const char* words = sigdescr_np(signal)) line.add(" (").add(words).add(")");
  if (call != nullptr) line.add(" in ").add(call->function());
  if (call != nullptr || signal != SIGTERM) line.write_once();
  // The signal comes again and reaches the handler that was installed before (a sanitizer's, or the default, which
  // ends the process): by itself where an instruction caused it, else it is sent once more.
  sigaction(signal, &before[signal], nullptr);
  if (cause->si_code <= 0) raise(signal);
}

void install(int signal) {
  struct sigaction there {};
  if (sigaction(signal, nullptr, &there) == 0 && there.sa_sigaction == name_signal) return;  // inherited from a parent
  struct sigaction action {};
  action.sa_sigaction = name_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, &before[signal]);
}

[[noreturn]] void name_terminate() {
  Line line;
  const PluginCall* call = PluginCall::running();
  line.add(call == nullptr ? "internal error" : std::string_view(call->callee().text()));
  if (std::current_exception() != nullptr) {
    line.add(call == nullptr ? ": not caught: " : ": threw in ");
    if (call != nullptr) line.add(call->function()).add(", which must not throw: ");
    try {
      line.add(current_exception_text());
    } catch (...) {
      line.add("out of memory");
    }
  } else {
    line.add(": std::terminate");
    if (call != nullptr) line.add(" in ").add(call->function());
  }
  line.write_once();
  std::abort();
}

// Endless recursion leaves no stack for a handler.
alignas(16) char stack_of_handler[1 << 16];

}  // namespace

void name_crashes() noexcept {
  PluginCall::mark_first_thread();
  const stack_t stack{.ss_sp = stack_of_handler, .ss_flags = 0, .ss_size = sizeof stack_of_handler};
  stack_t there{};
  if (sigaltstack(nullptr, &there) == 0 && (there.ss_flags & SS_DISABLE) != 0) sigaltstack(&stack, nullptr);
  for (const int signal : kSignals) install(signal);
  std::set_terminate(name_terminate);
}

void report_crashes_to(int descriptor) noexcept {
  report_to = descriptor;
}

void name_termination() noexcept {
  install(SIGTERM);
}

// What ATTNLAB_CHECK calls. Inside a plugin's call it is the plugin that broke a rule of the function that it called.
void check_failed(const char* condition, const char* file, int line, const char* message) {
  if (PluginCall::running() != nullptr) broken_rule(std::string(message) + " (" + condition + ")");
  Line()
      .add(file)
      .add(":")
      .add(static_cast<unsigned>(line))
      .add(": internal error: ")
      .add(message)
      .add(" (")
      .add(condition)
      .add(")")
      .write_once();
  std::abort();
}

}  // namespace attnlab

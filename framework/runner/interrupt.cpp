#include "runner/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <cstring>

namespace attnlab::experiment {
namespace {

volatile std::sig_atomic_t the_signal = 0;
const char* the_text = InterruptGuard::kOfRun;
struct sigaction before_int, before_term, before_size;

extern "C" void note_signal(int signal) {
  if (the_signal != 0) _exit(128 + signal);  // trial processes end with their parent
  the_signal = signal;
  static_cast<void>(!write(STDERR_FILENO, the_text, std::strlen(the_text)));
}

void install(int signal, void (*handler)(int), struct sigaction& before) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, &before);
}

}  // namespace

InterruptGuard::InterruptGuard(const char* text) {
  the_signal = 0;
  the_text = text;
  install(SIGINT, note_signal, before_int);
  install(SIGTERM, note_signal, before_term);
  // A file that may not grow is an error of the write, with a name and a remedy, not the end of the process.
  install(SIGXFSZ, SIG_IGN, before_size);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &before_int, nullptr);
  sigaction(SIGTERM, &before_term, nullptr);
  sigaction(SIGXFSZ, &before_size, nullptr);
}

int interrupted() noexcept {
  return the_signal;
}

void leave_interrupts_to_parent() noexcept {
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace attnlab::experiment

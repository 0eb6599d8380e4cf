#include "experiment/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace attnlab::experiment {
namespace {

constexpr int kBarWidth = 24;

int terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(std::size_t trials)
    : trials_(trials), terminal_(isatty(STDOUT_FILENO) == 1), began_(std::chrono::steady_clock::now()) {}

void Progress::start(const std::string& arm, const std::string& what, int round, int rounds) {
  line_ = fmt::format("round {}/{}  {}  {}", round + 1, rounds, arm, what);
  if (terminal_) draw();
}

void Progress::end(const std::string& outcome) {
  ++done_;
  if (terminal_) {
    if (outcome != "ok") fmt::print("\r\x1b[K{}: {}\n", line_, outcome);
    draw();
  } else {
    fmt::print("{}/{}  {}: {}\n", done_, trials_, line_, outcome);
  }
  std::fflush(stdout);
}

void Progress::finish() {
  if (terminal_) fmt::print("\r\x1b[K");
  std::fflush(stdout);
}

void Progress::draw() const {
  const int filled = trials_ == 0 ? kBarWidth : static_cast<int>(done_ * kBarWidth / trials_);
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  std::string left;
  if (done_ > 0) left = fmt::format("  {:.0f} s left", spent / static_cast<double>(done_) * static_cast<double>(trials_ - done_));
  std::string text = fmt::format("[{}{}] {}/{}  {}{}", std::string(filled, '#'), std::string(kBarWidth - filled, '.'),
                                 done_, trials_, line_, left);
  const std::size_t room = static_cast<std::size_t>(std::max(terminal_columns() - 1, 20));
  if (text.size() > room) text.resize(room);
  fmt::print("\r{}\x1b[K", text);
  std::fflush(stdout);
}

}  // namespace attnlab::experiment

// Ctrl-C. The first asks the run to end after the trial that is running and to write its report; the second ends the
// process at once. SIGTERM counts as one too: batch systems send it before they kill.
#pragma once

namespace attnlab::experiment {

/// Catches the signals while it lives. One at a time.
class InterruptGuard {
 public:
  static constexpr const char* kOfRun =
      "attnlab: warning: interrupted; the trial in flight is finished first, a training goes on with --resume (once "
      "more: at once)\n";

  /// What the first one prints on stderr; of static life.
  explicit InterruptGuard(const char* text = kOfRun);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

/// The signal that came since the guard was made; 0: none.
[[nodiscard]] int interrupted() noexcept;

/// For a child after its fork: only the parent handles the terminal's Ctrl-C, and it ends the child.
void leave_interrupts_to_parent() noexcept;

}  // namespace attnlab::experiment
